/* SPDX-License-Identifier: Apache-2.0 */
/* Range and Content-Range (RFC 9110 14), without arithmetic that wraps. */
#ifndef OCI_BYTE_RANGE_H
#define OCI_BYTE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

#define BYTE_RANGES_MAX 16

struct byte_range { /* both ends inclusive, first <= last < size */
    uint64_t first;
    uint64_t last;
};

/* What to do about a Range header. */
enum byte_range_verdict {
    RANGE_NONE,          /* no range, one to be ignored, or too many: answer the whole */
    RANGE_SATISFIABLE,   /* *count ranges */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* Applies a Range header to a size. Malformed headers, other units and more than `max` ranges are
 * RANGE_NONE (RFC 9110 14.2). */
enum byte_range_verdict byte_range_resolve(struct slice header, uint64_t size, unsigned max,
                                           struct byte_range out[BYTE_RANGES_MAX], unsigned *count);
/* Content-Range of an upload chunk: "FIRST-LAST", with or without "bytes " before it and "/SIZE" or
 * "/" "*" after it. Some clients write the offset after the last byte for LAST: their "LAST/SIZE"
 * may be equal. ERR_INVALID; ERR_CONFLICT when last < first. */
int content_range_parse_upload(struct slice header, struct byte_range *out, struct error *err);
/* Content-Range of an upstream's 206: "bytes FIRST-LAST/SIZE". *out_size is UINT64_MAX for "*".
 * ERR_INVALID. */
int content_range_parse(struct slice header, struct byte_range *out, uint64_t *out_size,
                        struct error *err);

#endif
