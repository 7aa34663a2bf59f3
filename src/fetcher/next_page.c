/* SPDX-License-Identifier: Apache-2.0 */
/* See next_page.h. */
#include "next_page.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "ipc/message.h"
#include "net/transfer.h"
#include "upstream.h"

bool next_page_is_query(struct slice query)
{
    for (size_t i = 0; i < query.length; i++) {
        char byte = query.data[i];

        if (byte <= ' ' || byte > '~' || byte == '#' || byte == '"' || byte == '<' || byte == '>')
            return false;
    }
    return query.length <= LIST_QUERY_MAX;
}

/* ---- parameters ---- */

static bool is_key(struct slice parameter, const char *key)
{
    struct slice name;

    return slice_split(&parameter, '=', &name) && slice_is(name, key);
}

bool next_page_find(struct slice query, const char *key, struct slice *out)
{
    struct slice parameter;

    while (slice_split(&query, '&', &parameter)) {
        if (!is_key(parameter, key))
            continue;
        ptrdiff_t mark = slice_find(parameter, '=');
        *out = mark < 0 ? slice_of("") : slice_skip(parameter, (size_t)mark + 1);
        return true;
    }
    return false;
}

static void add_parameter(struct slice parameter, struct buf *out)
{
    if (out->length > 0)
        buf_append_byte(out, '&');
    buf_append_slice(out, parameter);
}

/* We would refuse a request with a foreign `ns`, or with `n` or `last` twice. */
static void keep_once(struct slice query, struct buf *out)
{
    struct slice parameter;
    bool has_n = false;
    bool has_last = false;

    while (slice_split(&query, '&', &parameter)) {
        bool is_n = is_key(parameter, "n");
        bool is_last = is_key(parameter, "last");
        bool is_again = (is_n && has_n) || (is_last && has_last);

        has_n = has_n || is_n;
        has_last = has_last || is_last;
        if (parameter.length > 0 && !is_again && !is_key(parameter, "ns"))
            add_parameter(parameter, out);
    }
}

static size_t count_parameters(struct slice query)
{
    struct slice parameter;
    size_t count = 0;

    while (slice_split(&query, '&', &parameter))
        count += parameter.length > 0;
    return count;
}

static bool has_parameter(struct slice query, struct slice wanted)
{
    struct slice parameter;

    while (slice_split(&query, '&', &parameter)) {
        if (slice_equal(parameter, wanted))
            return true;
    }
    return false;
}

/* Have both queries the same parameters, in any order and however they are escaped? */
static bool is_same(struct slice left, struct slice right)
{
    AUTO_BUF struct buf left_plain;
    AUTO_BUF struct buf right_plain;
    struct slice parameter;
    struct error err;

    buf_init(&left_plain, LIST_QUERY_MAX);
    buf_init(&right_plain, LIST_QUERY_MAX);
    if (text_percent_decode(left, &left_plain, &err) != 0 ||
        text_percent_decode(right, &right_plain, &err) != 0)
        return slice_equal(left, right);
    struct slice rest = buf_bytes(&left_plain);
    if (count_parameters(rest) != count_parameters(buf_bytes(&right_plain)))
        return false;
    while (slice_split(&rest, '&', &parameter)) {
        if (parameter.length > 0 && !has_parameter(buf_bytes(&right_plain), parameter))
            return false;
    }
    return true;
}

/* ---- Link ---- */

/* Cut off what is before the next separator outside of quotes. */
static bool cut_unquoted(struct slice *rest, char separator, struct slice *out)
{
    bool is_quoted = false;
    size_t at = 0;

    if (rest->length == 0)
        return false;
    for (; at < rest->length && (is_quoted || rest->data[at] != separator); at++) {
        if (rest->data[at] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && rest->data[at] == '\\')
            at++;
    }
    if (at > rest->length)
        at = rest->length;
    *out = slice_from(rest->data, at);
    *rest = slice_skip(*rest, at < rest->length ? at + 1 : at);
    return true;
}

static bool has_word(struct slice words, const char *wanted)
{
    struct slice word;

    while (slice_split(&words, ' ', &word)) {
        if (slice_is_nocase(word, wanted))
            return true;
    }
    return false;
}

/* `; rel=next; title="a, b"`: the first rel counts. */
static bool is_next(struct slice parameters)
{
    struct slice parameter;
    struct slice name;

    while (cut_unquoted(&parameters, ';', &parameter)) {
        parameter = slice_trim(parameter);
        if (!slice_split(&parameter, '=', &name) || !slice_is_nocase(slice_trim(name), "rel"))
            continue;
        struct slice value = slice_trim(parameter);
        if (value.length >= 2 && value.data[0] == '"' && slice_ends_with(value, "\""))
            value = slice_from(value.data + 1, value.length - 2);
        return has_word(value, "next");
    }
    return false;
}

/* The target of the field's first link to the next page; false: there is none. */
static bool find_next(struct slice field, struct slice *out)
{
    for (;;) {
        struct slice parameters = {0};

        while (field.length > 0 && (field.data[0] == ',' || field.data[0] == ' '))
            field = slice_skip(field, 1);
        ptrdiff_t end = slice_find(field, '>');
        if (field.length == 0 || field.data[0] != '<' || end < 0)
            return false;
        struct slice target = slice_from(field.data + 1, (size_t)end - 1);
        field = slice_skip(field, (size_t)end + 1);
        (void)cut_unquoted(&field, ',', &parameters);
        if (is_next(parameters)) {
            *out = target;
            return true;
        }
    }
}

/* Is it a path, a query, or a URL of the upstream itself? Behind a TLS front it may say http. */
static bool is_own(const struct upstream *upstream, struct slice target)
{
    struct slice rest = target;
    struct slice path = target;  /* before the query */
    struct slice first = target; /* component of the path: a colon in it ends a scheme */
    struct url_parts parts;
    AUTO_BUF struct buf url;

    buf_init(&url, 8192);
    upstream_print_upgraded(upstream, target, &url);
    if (url_split(buf_bytes(&url), &parts))
        return upstream_trusts(upstream, &parts) == HOST_OWN;
    (void)slice_split(&rest, '?', &path);
    (void)slice_split(&path, '/', &first);
    return slice_find(first, ':') < 0 && !slice_starts_with(target, "//");
}

void next_page_read(const struct upstream *upstream, struct slice headers, struct slice asked,
                    struct buf *out)
{
    AUTO_BUF struct buf query;
    struct slice field;
    struct slice target;

    buf_init(&query, LIST_QUERY_MAX);
    while (transfer_next_header(&headers, "Link", &field)) {
        if (!find_next(field, &target))
            continue;
        ptrdiff_t mark = slice_find(target, '?');
        if (mark < 0 || !is_own(upstream, target))
            return;
        struct slice theirs = slice_skip(target, (size_t)mark + 1);
        if (!next_page_is_query(theirs))
            return;
        keep_once(theirs, &query);
        if (!is_same(buf_bytes(&query), asked))
            buf_append_slice(out, buf_bytes(&query));
        return;
    }
}

void next_page_print(struct slice asked, struct slice last, struct buf *out)
{
    AUTO_BUF struct buf query;
    struct slice parameter;

    buf_init(&query, LIST_QUERY_MAX);
    while (slice_split(&asked, '&', &parameter)) {
        if (parameter.length > 0 && !is_key(parameter, "last"))
            add_parameter(parameter, &query);
    }
    add_parameter(slice_of("last="), &query);
    text_percent_encode(&query, last, "");
    if (!query.is_over)
        buf_append_slice(out, buf_bytes(&query));
}
