/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eviction: cached images go, those that were pulled longest ago first, when there is more of them
 * than storage.cache_limit, an upstream's cache_limit or storage.min_free allow, or when they are
 * older than storage.cache_max_age. What only they need goes with them, at once.
 *
 *   idle ──above a limit──► EVICTING: a slice of images, collected in the next slices ──► below the
 *   low water, or nothing is left that may go ──► idle
 *
 * An image is a manifest of a cached repository that a tag names, or that nothing names. Nothing
 * that was pushed here, nothing pinned. Blobs that were fetched and that no manifest names, and
 * which would go by their time, go first; those of the last ten minutes last.
 */
#ifndef KEEPER_EVICT_H
#define KEEPER_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "store/ledger.h"

struct collecting;

struct evictor { /* zeroed; between slices it belongs to chores.c */
    bool is_evicting;
    bool has_after; /* what is before `after` was found pinned, or not to count */
    struct recent after;
    bool has_loose_after; /* the same of what is due */
    struct due loose_after;
    uint64_t images;         /* of this run */
    uint64_t rests_until_ms; /* nothing is left that may go: it is not looked for all the time */
    uint64_t said_ms;        /* when the log last said that a limit cannot be kept */
};

/* One slice. collecting->apply->now_ms must never be ahead of the time that has really passed.
 * True: there is more to do. */
bool evict_slice(struct collecting *collecting, struct evictor *evictor);

#endif
