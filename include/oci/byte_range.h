/* SPDX-License-Identifier: Apache-2.0 */
/* Range and Content-Range (RFC 9110 14), without arithmetic that wraps. */
#ifndef OCI_BYTE_RANGE_H
#define OCI_BYTE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

#define BYTE_RANGES_MAX 1024

struct byte_range { /* both ends inclusive, first <= last < size */
    uint64_t first;
    uint64_t last;
};

/* What to do about a Range header. */
enum byte_range_verdict {
    RANGE_NONE,          /* no range, or one to be ignored: answer the whole */
    RANGE_SATISFIABLE,   /* *count ranges */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* How many ranges a header asks for, whether they are well-formed or not; 0: of another unit. */
size_t byte_range_count(struct slice header);
/* Applies a Range header of up to BYTE_RANGES_MAX ranges to a size. Malformed headers, other units
 * and ranges that overlap are RANGE_NONE (RFC 9110 14.2). With RANGE_SATISFIABLE the ranges that
 * can be satisfied are in *out, in the order of the header, and belong to the caller. */
enum byte_range_verdict byte_range_resolve(struct slice header, uint64_t size,
                                           struct byte_range **out, unsigned *count);
/* Content-Range of an upload chunk: "FIRST-LAST", with or without "bytes " before it and "/SIZE" or
 * "/" "*" after it. Some clients write the offset after the last byte for LAST: their "LAST/SIZE"
 * may be equal. ERR_INVALID; ERR_CONFLICT when last < first. */
int content_range_parse_upload(struct slice header, struct byte_range *out, struct error *err);
/* Content-Range of an upstream's 206: "bytes FIRST-LAST/SIZE". *out_size is UINT64_MAX for "*".
 * ERR_INVALID. */
int content_range_parse(struct slice header, struct byte_range *out, uint64_t *out_size,
                        struct error *err);

#endif
