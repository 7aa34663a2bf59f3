/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for files under blobs/ that no record of the ledger names: a crash between the placing of a
 * file and its commit leaves one, and so does one between a commit and the removal of its files.
 *
 *   WAITING ──► looking, in the pool: some folders ──► WAITING, after the last for longer
 *                        └──► FOUND, until sweeper_take, in a slice of the keeper's chores
 *
 * What was placed a moment ago may be about to be committed, or its sender asks again: only files
 * that have lain there for twice `storage.grace` count, and they are judged once more when nothing
 * can be placed.
 */
#ifndef KEEPER_SWEEPER_H
#define KEEPER_SWEEPER_H

#include <stdbool.h>

struct config;
struct ledger;
struct loop;
struct orphans;
struct pool;
struct store;
struct sweeper;

#define SWEEPER_FOUND_MAX 256u

struct sweeper_options { /* borrowed */
    struct loop *loop;
    struct pool *pool;
    struct ledger *ledger;
    struct store *store;
};

struct sweeper *sweeper_new(const struct sweeper_options *options, struct config *config);
/* Must not be called while it runs. */
void sweeper_free(struct sweeper **sweeper);
/* Takes a reference. */
void sweeper_set_config(struct sweeper *sweeper, struct config *config);
/* It starts no more. */
void sweeper_stop(struct sweeper *sweeper);
bool sweeper_is_running(const struct sweeper *sweeper);
/* From any thread: moves what was found, at most SWEEPER_FOUND_MAX, to the list, which is empty. */
void sweeper_take(struct sweeper *sweeper, struct orphans *out);

#endif
