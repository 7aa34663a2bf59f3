/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection: what nobody has needed for twice `storage.grace` goes, in slices of a transaction
 * each. A client that was told that a blob is here may rely on it for `grace` (a worker renews what
 * is older before it says so), and then has `grace` to name it in a manifest.
 *
 *   due ──► slice: links and blobs leave the ledger ──► commit ──► their files leave blobs/
 *
 * A crash between the last two leaves files that no record names: see sweeper.h.
 */
#ifndef KEEPER_COLLECT_H
#define KEEPER_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

struct apply;
struct evictor;
struct orphans;
struct sweeper;
struct upload_table;

/* Removed files cost those who push more than the slice itself: their next sync has to write what
 * the removals changed. With slices of 1,000 blobs a push took 200 ms. */
#define COLLECT_SLICE_US  3000u /* of the keeper's time, without the sync */
#define COLLECT_SLICE_MAX 100u  /* blobs and links in a slice */

/* One slice. apply->now_ms must never be ahead of the time that has really passed. */
struct collecting {
    const struct apply *apply;
    struct upload_table *uploads; /* what somebody is pushing to a repository keeps its links */
    struct sweeper *sweeper;
    struct evictor *evictor;
    struct orphans *orphans; /* in: empty, with room for COLLECT_SLICE_MAX; out: files to remove */
    uint64_t links;          /* out, as below: how many went */
    uint64_t blobs;
    uint64_t bytes;
};
/* True: more is due. */
bool collect_slice(struct collecting *collecting);
/* Enters what programs before ledger version 2 have stored in what is due: one slice. True: there
 * is more to look at. */
bool collect_survey(const struct apply *apply);

#endif
