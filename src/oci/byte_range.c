/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges. Numbers from clients saturate at 2^64-1 instead of wrapping and are then clamped to the
 * size, so that no sum or difference here can overflow: 0 <= first <= last < size is true of
 * every range that byte_range_resolve returns.
 */
#include "oci/byte_range.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

/* One or more digits; saturates. */
static bool read_saturated(struct slice text, uint64_t *out)
{
    uint64_t number = 0;

    if (text.length == 0)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];

        if (c < '0' || c > '9')
            return false;
        uint64_t digit = (uint64_t)(c - '0');
        if (number > (UINT64_MAX - digit) / 10)
            number = UINT64_MAX;
        else
            number = number * 10 + digit;
    }
    *out = number;
    return true;
}

/* "FIRST-LAST", "FIRST-" or "-COUNT" against a size. */
static enum byte_range_verdict resolve_one(struct slice spec, uint64_t size, struct byte_range *out)
{
    ptrdiff_t dash = slice_find(spec, '-');
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;

    if (dash < 0)
        return RANGE_NONE;
    struct slice before = slice_from(spec.data, (size_t)dash);
    struct slice after = slice_skip(spec, (size_t)dash + 1);
    if (before.length == 0) {
        uint64_t count = 0;

        if (!read_saturated(after, &count))
            return RANGE_NONE;
        if (count == 0 || size == 0)
            return RANGE_UNSATISFIABLE;
        out->first = count >= size ? 0 : size - count;
        out->last = size - 1;
        return RANGE_SATISFIABLE;
    }
    if (!read_saturated(before, &first) || (after.length > 0 && !read_saturated(after, &last)))
        return RANGE_NONE;
    if (first >= size || last < first)
        return RANGE_UNSATISFIABLE;
    out->first = first;
    out->last = last >= size ? size - 1 : last;
    return RANGE_SATISFIABLE;
}

/* The ranges of the header, after "bytes=". False: it is in another unit. */
static bool read_unit(struct slice header, struct slice *out)
{
    struct slice text = slice_trim(header);

    if (text.length < 6 || !slice_is_nocase(slice_from(text.data, 6), "bytes="))
        return false;
    *out = slice_skip(text, 6);
    return true;
}

/* Empty elements of a list are skipped (RFC 9110 5.6.1.2). */
static bool next_spec(struct slice *rest, struct slice *out)
{
    while (slice_split(rest, ',', out)) {
        *out = slice_trim(*out);
        if (out->length > 0)
            return true;
    }
    return false;
}

size_t byte_range_count(struct slice header)
{
    struct slice rest;
    struct slice spec;
    size_t count = 0;

    if (!read_unit(header, &rest))
        return 0;
    while (next_spec(&rest, &spec))
        count++;
    return count;
}

static int compare_first(const void *a, const void *b)
{
    const struct byte_range *one = a;
    const struct byte_range *other = b;

    return (one->first > other->first) - (one->first < other->first);
}

static bool is_ascending(const struct byte_range *ranges, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        if (ranges[i].first <= ranges[i - 1].last)
            return false;
    }
    return true;
}

/* Overlapping ranges would make the answer larger than the whole. Clients sort their ranges; only
 * others pay for it. */
static bool is_overlapping(const struct byte_range *ranges, unsigned count)
{
    if (is_ascending(ranges, count))
        return false;
    AUTO_FREE struct byte_range *sorted = mem_alloc(count * sizeof(*sorted));
    memcpy(sorted, ranges, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_first);
    return !is_ascending(sorted, count);
}

static enum byte_range_verdict resolve_all(struct slice rest, uint64_t size,
                                           struct byte_range *ranges, unsigned *count)
{
    struct slice spec;

    *count = 0;
    while (next_spec(&rest, &spec)) {
        enum byte_range_verdict verdict = resolve_one(spec, size, &ranges[*count]);

        if (verdict == RANGE_NONE)
            return RANGE_NONE;
        if (verdict == RANGE_SATISFIABLE)
            ++*count;
    }
    if (*count == 0)
        return RANGE_UNSATISFIABLE;
    return is_overlapping(ranges, *count) ? RANGE_NONE : RANGE_SATISFIABLE;
}

enum byte_range_verdict byte_range_resolve(struct slice header, uint64_t size,
                                           struct byte_range **out, unsigned *count)
{
    size_t specs = byte_range_count(header);
    struct slice rest;
    unsigned found = 0;

    if (specs == 0 || specs > BYTE_RANGES_MAX || !read_unit(header, &rest))
        return RANGE_NONE;
    AUTO_FREE struct byte_range *ranges = mem_alloc(specs * sizeof(*ranges));
    enum byte_range_verdict verdict = resolve_all(rest, size, ranges, &found);
    if (verdict != RANGE_SATISFIABLE)
        return verdict;
    *out = TAKE(ranges);
    *count = found;
    return RANGE_SATISFIABLE;
}

static bool strip_unit(struct slice *text)
{
    if (text->length < 6 || !slice_is_nocase(slice_from(text->data, 6), "bytes "))
        return false;
    *text = slice_trim(slice_skip(*text, 6));
    return true;
}

/* "FIRST-LAST"; their order is not checked. */
static int read_pair(struct slice text, struct byte_range *out, struct error *err)
{
    ptrdiff_t dash = slice_find(text, '-');

    if (dash < 0)
        return error_set(err, ERR_INVALID, "Content-Range has no '-'");
    if (text_parse_u64(slice_from(text.data, (size_t)dash), &out->first, err) != 0 ||
        text_parse_u64(slice_skip(text, (size_t)dash + 1), &out->last, err) != 0 ||
        out->last == UINT64_MAX)
        return error_set(err, ERR_INVALID, "Content-Range is not FIRST-LAST in decimal digits");
    return 0;
}

/* Cuts "/SIZE" or "/" "*" off; *out_size is UINT64_MAX for "*". */
static int cut_size(struct slice *text, uint64_t *out_size, bool *out_has_size, struct error *err)
{
    ptrdiff_t slash = slice_find(*text, '/');

    *out_has_size = slash >= 0;
    *out_size = UINT64_MAX;
    if (slash < 0)
        return 0;
    struct slice size = slice_skip(*text, (size_t)slash + 1);
    text->length = (size_t)slash;
    if (slice_is(size, "*"))
        return 0;
    if (text_parse_u64(size, out_size, err) != 0 || *out_size == UINT64_MAX)
        return error_set(err, ERR_INVALID, "the size in Content-Range is not a number");
    return 0;
}

int content_range_parse_upload(struct slice header, struct byte_range *out, struct error *err)
{
    struct slice text = slice_trim(header);
    struct byte_range range = {0, 0};
    uint64_t size = 0;
    bool has_size = false;

    (void)strip_unit(&text); /* optional */
    if (cut_size(&text, &size, &has_size, err) != 0 || read_pair(text, &range, err) != 0)
        return -(int)err->kind;
    if (range.last < range.first)
        return error_set(err, ERR_CONFLICT, "Content-Range ends before it begins");
    if (range.last > size)
        return error_set(err, ERR_INVALID, "Content-Range ends after its own size");
    *out = range;
    return 0;
}

int content_range_parse(struct slice header, struct byte_range *out, uint64_t *out_size,
                        struct error *err)
{
    struct slice text = slice_trim(header);
    struct byte_range range = {0, 0};
    uint64_t size = 0;
    bool has_size = false;

    if (!strip_unit(&text))
        return error_set(err, ERR_INVALID, "Content-Range is not in bytes");
    if (cut_size(&text, &size, &has_size, err) != 0 || read_pair(text, &range, err) != 0)
        return -(int)err->kind;
    if (!has_size || range.last < range.first || range.last >= size)
        return error_set(err, ERR_INVALID, "Content-Range is not FIRST-LAST/SIZE");
    *out = range;
    *out_size = size;
    return 0;
}
