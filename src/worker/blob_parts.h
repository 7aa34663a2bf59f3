/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a blob that an answer consists of (all, one range, or several as
 * multipart/byteranges, RFC 9110 14.6), and how much of them has been given out. Pure: no I/O. */
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
    uint64_t furthest; /* end of the bytes given out so far, in the blob */
    bool is_multipart;
    bool has_head; /* the head of this part was given out */
    bool has_end;  /* the closing boundary was given out, or there is none */
    char boundary[BLOB_PARTS_BOUNDARY_SIZE];
    struct byte_range one;      /* the range, when there is one */
    struct byte_range *several; /* the ranges, until the last was given out; owned */
};

struct blob_piece { /* to be sent next: the text, then bytes of the file */
    unsigned text_length;
    char text[BLOB_PARTS_TEXT_SIZE];
    uint64_t first;
    uint64_t length;
};

void blob_parts_whole(struct blob_parts *parts, uint64_t size);
/* `count` ranges, at least one; *ranges is taken. For more than one a random boundary is made. */
void blob_parts_ranges(struct blob_parts *parts, uint64_t size, struct byte_range **ranges,
                       unsigned count);
void blob_parts_cleanup(struct blob_parts *parts);
/* Length of the body, with the heads of parts and the boundaries. */
uint64_t blob_parts_length(const struct blob_parts *parts);
/* Gives out the next piece: only bytes of the blob before `limit`, and at most `max` of them.
 * False: there is nothing to send now. */
bool blob_parts_next(struct blob_parts *parts, uint64_t limit, uint64_t max,
                     struct blob_piece *out);
/* Everything was given out. */
bool blob_parts_is_over(const struct blob_parts *parts);

#endif
