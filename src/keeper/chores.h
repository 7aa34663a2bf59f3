/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's own work on the ledger, which no process has ordered: a table of chores, each with
 * an interval. A chore is done in slices. A slice is one transaction and changes a bounded number
 * of records; between two slices clients' orders have their turn (keeper.c), so that none of them
 * waits for more than one.
 *
 *   idle ── interval over ──► due ── chores_start: one slice in the pool ──► due again, or idle
 *
 * Of several that are due, the first of the table has its slice.
 */
#ifndef KEEPER_CHORES_H
#define KEEPER_CHORES_H

#include <stdbool.h>
#include <stdint.h>

struct chores;
struct config;
struct ledger;
struct loop;
struct pool;
struct store;
struct sweeper;
struct upload_table;

struct chores_options { /* borrowed */
    struct loop *loop;
    struct pool *pool;
    struct ledger *ledger;
    struct store *store;
    struct upload_table *uploads;
    struct sweeper *sweeper;
    /* On the loop: chores_is_due has become true. */
    void (*on_due)(void *arg);
    /* On the loop: a slice has ended. The number of the newest commit; 0: it failed. */
    void (*on_done)(uint64_t number, void *arg);
    void *arg;
};

struct chores *chores_new(const struct chores_options *options);
/* Must not be called while a slice runs, or its cleaning. */
void chores_free(struct chores **chores);
/* Whether a chore waits for its slice. */
bool chores_is_due(const struct chores *chores);
/* A slice runs in the pool. Nothing else may write the ledger meanwhile. */
bool chores_is_running(const struct chores *chores);
/* Work that a slice has left is under way in the pool. Batches may run meanwhile. */
bool chores_are_cleaning(const struct chores *chores);
/* Something was fetched: is there too much of it? */
void chores_look(struct chores *chores);
/* The next slice is one of the collection. */
void chores_collect(struct chores *chores);
/* Starts a slice of the most urgent chore that is due. Takes a reference of the configuration until
 * it is done. */
void chores_start(struct chores *chores, struct config *config, uint64_t now_ms);

#endif
