/* SPDX-License-Identifier: Apache-2.0 */
/* One part after the other. With several parts, each has a head, and a boundary closes the last. */
#include "blob_parts.h"

#include <stdio.h>

#include "base/check.h"
#include "base/random.h"

void blob_parts_whole(struct blob_parts *parts, uint64_t size)
{
    *parts = (struct blob_parts){.size = size, .has_end = true};
    if (size > 0) {
        parts->count = 1;
        parts->ranges[0] = (struct byte_range){.first = 0, .last = size - 1};
    }
}

void blob_parts_ranges(struct blob_parts *parts, uint64_t size, const struct byte_range *ranges,
                       unsigned count)
{
    CHECK(count > 0 && count <= BYTE_RANGES_MAX);
    *parts = (struct blob_parts){.size = size, .count = count, .has_end = count == 1};
    for (unsigned i = 0; i < count; i++)
        parts->ranges[i] = ranges[i];
    parts->offset = ranges[0].first;
    parts->is_multipart = count > 1;
    if (!parts->is_multipart)
        return;
    int length = snprintf(parts->boundary, sizeof(parts->boundary), "part%08x%08x",
                          random_below(UINT32_MAX), random_below(UINT32_MAX));
    CHECK(length > 0 && (size_t)length < sizeof(parts->boundary));
}

static unsigned print_head(const struct blob_parts *parts, unsigned index,
                           char out[BLOB_PARTS_TEXT_SIZE])
{
    const struct byte_range *range = &parts->ranges[index];
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

uint64_t blob_parts_length(const struct blob_parts *parts)
{
    char text[BLOB_PARTS_TEXT_SIZE];
    uint64_t length = 0;

    for (unsigned i = 0; i < parts->count; i++) {
        length += parts->ranges[i].last - parts->ranges[i].first + 1;
        if (parts->is_multipart)
            length += print_head(parts, i, text);
    }
    return parts->is_multipart ? length + print_end(parts, text) : length;
}

static void take_bytes(struct blob_parts *parts, uint64_t limit, uint64_t max,
                       struct blob_piece *out)
{
    uint64_t end = parts->ranges[parts->index].last + 1;
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
        parts->offset = parts->ranges[parts->index].first;
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
