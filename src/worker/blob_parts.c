/* SPDX-License-Identifier: Apache-2.0 */
/* One part after the other. With several parts, each has a head, and a boundary closes the last. */
#include "blob_parts.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/random.h"

void blob_parts_whole(struct blob_parts *parts, uint64_t size)
{
    *parts = (struct blob_parts){.size = size, .has_end = true};
    if (size > 0) {
        parts->count = 1;
        parts->one = (struct byte_range){.first = 0, .last = size - 1};
    }
}

void blob_parts_ranges(struct blob_parts *parts, uint64_t size, struct byte_range **ranges,
                       unsigned count)
{
    AUTO_FREE struct byte_range *own = TAKE(*ranges);

    CHECK(count > 0);
    *parts = (struct blob_parts){.size = size, .count = count, .has_end = count == 1};
    parts->one = own[0];
    parts->offset = own[0].first;
    parts->is_multipart = count > 1;
    if (!parts->is_multipart)
        return;
    parts->several = TAKE(own);
    int length = snprintf(parts->boundary, sizeof(parts->boundary), "part%08x%08x",
                          random_below(UINT32_MAX), random_below(UINT32_MAX));
    CHECK(length > 0 && (size_t)length < sizeof(parts->boundary));
}

void blob_parts_cleanup(struct blob_parts *parts)
{
    mem_free(TAKE(parts->several));
}

static const struct byte_range *range_at(const struct blob_parts *parts, unsigned index)
{
    return parts->is_multipart ? &parts->several[index] : &parts->one;
}

static unsigned print_head(const struct blob_parts *parts, unsigned index,
                           char out[BLOB_PARTS_TEXT_SIZE])
{
    const struct byte_range *range = range_at(parts, index);
    int length =
        snprintf(out, BLOB_PARTS_TEXT_SIZE,
                 "%s--%s\r\nContent-Type: application/octet-stream\r\n"
                 "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
                 index == 0 ? "" : "\r\n", parts->boundary, (unsigned long long)range->first,
                 (unsigned long long)range->last, (unsigned long long)parts->size);

    CHECK(length > 0 && length < BLOB_PARTS_TEXT_SIZE);
    return (unsigned)length;
}

static unsigned print_end(const struct blob_parts *parts, char out[BLOB_PARTS_TEXT_SIZE])
{
    int length = snprintf(out, BLOB_PARTS_TEXT_SIZE, "\r\n--%s--\r\n", parts->boundary);

    CHECK(length > 0 && length < BLOB_PARTS_TEXT_SIZE);
    return (unsigned)length;
}

static unsigned digits_of(uint64_t number)
{
    unsigned digits = 1;

    while ((number /= 10) > 0)
        digits++;
    return digits;
}

/* The heads differ in their numbers alone. All of them are not printed to learn how long they are:
 * that would take as long as a thousand small answers. */
static uint64_t length_of_heads(const struct blob_parts *parts)
{
    char text[BLOB_PARTS_TEXT_SIZE];
    const struct byte_range *first = range_at(parts, 0);
    uint64_t bare = print_head(parts, 0, text) - digits_of(first->first) - digits_of(first->last);
    uint64_t length = bare * parts->count + 2ull * (parts->count - 1); /* CRLF before all but one */

    for (unsigned i = 0; i < parts->count; i++)
        length += digits_of(range_at(parts, i)->first) + digits_of(range_at(parts, i)->last);
    return length;
}

uint64_t blob_parts_length(const struct blob_parts *parts)
{
    char text[BLOB_PARTS_TEXT_SIZE];
    uint64_t length = 0;

    for (unsigned i = 0; i < parts->count; i++)
        length += range_at(parts, i)->last - range_at(parts, i)->first + 1;
    if (parts->is_multipart)
        length += length_of_heads(parts) + print_end(parts, text);
    return length;
}

static void take_bytes(struct blob_parts *parts, uint64_t limit, uint64_t max,
                       struct blob_piece *out)
{
    uint64_t end = range_at(parts, parts->index)->last + 1;
    uint64_t until = limit < end ? limit : end;

    if (until <= parts->offset)
        return;
    out->first = parts->offset;
    out->length = until - parts->offset < max ? until - parts->offset : max;
    parts->offset += out->length;
    if (parts->offset > parts->furthest)
        parts->furthest = parts->offset;
    if (parts->offset < end)
        return;
    parts->has_head = false;
    if (++parts->index < parts->count)
        parts->offset = range_at(parts, parts->index)->first;
    else
        blob_parts_cleanup(parts); /* the last part may leave slowly */
}

bool blob_parts_next(struct blob_parts *parts, uint64_t limit, uint64_t max, struct blob_piece *out)
{
    out->text_length = 0;
    out->first = 0;
    out->length = 0;
    if (parts->index < parts->count) {
        if (parts->is_multipart && !parts->has_head) {
            out->text_length = print_head(parts, parts->index, out->text);
            parts->has_head = true;
        }
        take_bytes(parts, limit, max, out);
    } else if (!parts->has_end) {
        out->text_length = print_end(parts, out->text);
        parts->has_end = true;
    }
    return out->text_length > 0 || out->length > 0;
}

bool blob_parts_is_over(const struct blob_parts *parts)
{
    return parts->index == parts->count && parts->has_end;
}
