/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes of a blob an answer is made of: all, one range, or several as multipart/byteranges
 * (RFC 9110 14.6); and how far it is sent. Pure. */
#ifndef WORKER_BLOB_PARTS_H
#define WORKER_BLOB_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "oci/byte_range.h"

#define BLOB_PARTS_BOUNDARY_SIZE 24
#define BLOB_PARTS_TEXT_SIZE     256

struct blob_parts {
    uint64_t size; /* of the blob */
    unsigned count;
    unsigned index;    /* the part that is being sent */
    uint64_t offset;   /* in the blob: its next byte */
    uint64_t furthest; /* behind the last byte given out so far */
    bool is_multipart;
    bool has_head; /* the part's own head is given out */
    bool has_end;  /* the closing boundary too */
    char boundary[BLOB_PARTS_BOUNDARY_SIZE];
    struct byte_range ranges[BYTE_RANGES_MAX];
};

struct blob_piece { /* what to send next: text first, then the file's bytes */
    unsigned text_length;
    char text[BLOB_PARTS_TEXT_SIZE];
    uint64_t first;
    uint64_t length;
};

void blob_parts_whole(struct blob_parts *parts, uint64_t size);
/* `count` ranges; more than one need a boundary that the blob does not contain. */
void blob_parts_ranges(struct blob_parts *parts, uint64_t size, const struct byte_range *ranges,
                       unsigned count);
/* Of the body. */
uint64_t blob_parts_length(const struct blob_parts *parts);
/* The next piece, with no byte of the blob at `limit` or behind, and at most `max` of them. False:
 * nothing may be sent now. */
bool blob_parts_next(struct blob_parts *parts, uint64_t limit, uint64_t max,
                     struct blob_piece *out);
/* All was given out. */
bool blob_parts_is_over(const struct blob_parts *parts);

#endif
