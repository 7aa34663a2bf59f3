/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a blob that is still being downloaded may be sent to clients. Pure arithmetic, in a
 * file of its own so that it can be tested alone. The last 64 KiB are sent only when the digest is
 * known to be right. */
#ifndef WORKER_FOLLOW_LIMIT_H
#define WORKER_FOLLOW_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define FOLLOW_HOLD_BACK    ((uint64_t)64 * 1024)
#define FOLLOW_SIZE_UNKNOWN UINT64_MAX

struct follow_level {
    uint64_t size;  /* may be FOLLOW_SIZE_UNKNOWN until verified */
    uint64_t bytes; /* in the spool */
    bool is_verified;
    bool is_strict;    /* nothing is sent before it is verified */
    bool is_held_long; /* fetch.hold_time has passed */
    uint64_t hold_max; /* smaller blobs wait for verification until then */
};

/* So many bytes, from the start, may be sent. */
uint64_t follow_limit(const struct follow_level *level);
/* May the head of the answer be sent? */
bool follow_may_begin(const struct follow_level *level);
/* The size is unknown, and more bytes have come than are held back for such a blob. */
bool follow_is_too_large(const struct follow_level *level);

#endif
