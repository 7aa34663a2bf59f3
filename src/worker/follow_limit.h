/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a blob that is still being fetched may leave: pure arithmetic, apart so that it can
 * be tested alone. The last 64 KiB leave only when the digest is right. */
#ifndef WORKER_FOLLOW_LIMIT_H
#define WORKER_FOLLOW_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define FOLLOW_HOLD_BACK        ((uint64_t)64 * 1024)
#define FOLLOW_SIZE_UNKNOWN     UINT64_MAX
#define FOLLOW_UNKNOWN_SIZE_MAX ((uint64_t)16 * 1024 * 1024)

struct follow_level {
    uint64_t size;  /* FOLLOW_SIZE_UNKNOWN until verified, at worst */
    uint64_t bytes; /* in the spool */
    bool is_verified;
    bool is_strict;    /* nothing leaves before it is verified */
    bool is_held_long; /* fetch.hold_time is over */
    uint64_t hold_max; /* blobs up to this are answered when verified */
};

/* Bytes from the start that may leave. */
uint64_t follow_limit(const struct follow_level *level);
/* May the head of the answer leave? */
bool follow_may_begin(const struct follow_level *level);
/* The size is not known, and more came than is held for such. */
bool follow_is_too_large(const struct follow_level *level);

#endif
