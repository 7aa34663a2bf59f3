/* SPDX-License-Identifier: Apache-2.0 */
/* See location.h. */
#include "location.h"

#include "base/buf.h"
#include "base/text.h"
#include "net/transfer.h"

/* All that may stand in a URL as it is; what url_split refuses is not among it. */
#define KEPT "%:/?[]@!$&'()*+,;=\"<>^`{|}"

bool location_is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* What is before the first byte `mark`. */
static struct slice cut_at(struct slice text, char mark)
{
    ptrdiff_t end = slice_find(text, mark);

    return end < 0 ? text : slice_from(text.data, (size_t)end);
}

static bool has_scheme(struct slice location)
{
    struct slice first = cut_at(cut_at(location, '?'), '/');

    return slice_find(first, ':') >= 0;
}

/* Take the last component off what was appended since `floor`: "/a/b/" becomes "/a/". */
static void drop_component(struct buf *out, size_t floor)
{
    size_t length = out->length - 1;

    while (length > floor && out->data[out->start + length - 1] != '/')
        length--;
    if (length > floor)
        out->length = length;
}

/* Both paths as one, without the components . and .. of the second; `folder` ends with a slash. */
static void append_merged(struct slice folder, struct slice path, struct buf *out)
{
    size_t floor = out->length;

    buf_append_slice(out, folder);
    for (;;) {
        ptrdiff_t slash = slice_find(path, '/');
        struct slice component = cut_at(path, '/');

        if (slice_is(component, ".."))
            drop_component(out, floor);
        else if (!slice_is(component, "."))
            buf_append_slice(out, slash < 0 ? path : slice_from(path.data, component.length + 1));
        if (slash < 0 || out->is_over)
            return;
        path = slice_skip(path, (size_t)slash + 1);
    }
}

static void append_absolute(const struct url_parts *base, struct slice location, struct buf *out)
{
    struct slice path = cut_at(base->path, '?');
    const char *scheme = base->is_https ? "https" : "http";

    if (has_scheme(location) || location.length == 0) {
        buf_append_slice(out, location);
        return;
    }
    if (slice_starts_with(location, "//")) {
        buf_printf(out, "%s:%.*s", scheme, SLICE_PRINT(location));
        return;
    }
    buf_printf(out, "%s://%.*s", scheme, SLICE_PRINT(base->authority));
    if (slice_starts_with(location, "?"))
        buf_append_slice(out, path);
    if (slice_starts_with(location, "/") || slice_starts_with(location, "?")) {
        buf_append_slice(out, location);
        return;
    }
    struct slice target = cut_at(location, '?');
    append_merged(slice_from(path.data, (size_t)slice_find_last(path, '/') + 1), target, out);
    buf_append_slice(out, slice_skip(location, target.length));
}

void location_resolve(const struct url_parts *base, struct slice location, struct buf *out)
{
    AUTO_BUF struct buf whole;

    buf_init(&whole, 8192);
    append_absolute(base, cut_at(location, '#'), &whole);
    if (!whole.is_over)
        text_percent_encode(out, buf_bytes(&whole), KEPT);
}
