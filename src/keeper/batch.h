/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch is the orders that share a transaction. On their way through the pool:
 *
 *   files of blobs/ab: renamed, ab synced ─┐
 *   files of blobs/cd: renamed, cd synced ─┼─ the last job: apply all, commit ─► done, on the loop
 *   …                                     ─┘
 *
 * What a worker says about its file is looked at before it is placed (docs/decisions/0049): an
 * order that is ORDER_KNOWN afterwards was not applied, and its file not placed. A single order is
 * a single job, without a change of threads between its file and its commit. If the transaction
 * fails, each order is tried in a transaction of its own. The files of refused orders are judged
 * after the last commit (orphans.h).
 */
#ifndef KEEPER_BATCH_H
#define KEEPER_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

struct batch;
struct config;
struct ledger;
struct pool;
struct store;

#define BATCH_ORDERS_MAX 512

struct batch_options { /* borrowed */
    struct pool *pool;
    struct ledger *ledger;
    struct store *store;
    /* On the loop, once: every order has its outcome, or is ORDER_KNOWN. */
    void (*on_done)(struct batch *batch, void *arg);
    void *arg;
};

struct batch *batch_new(const struct batch_options *options);
/* Must not be called while it runs. */
void batch_free(struct batch **batch);
bool batch_is_running(const struct batch *batch);
/* Takes all of the list (struct order; at most BATCH_ORDERS_MAX), and a reference of the
 * configuration until it is done. */
void batch_start(struct batch *batch, struct list *orders, struct config *config, uint64_t now_ms);
/* The orders of a batch that is done; the caller takes them out and frees them. */
struct list *batch_orders(struct batch *batch);
/* How many transactions were committed. The error of the common one; ERR_NONE: it succeeded. */
unsigned batch_commits(const struct batch *batch, struct error *out_error);

#endif
