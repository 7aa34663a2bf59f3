/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker's modules share: one struct per worker, passed down; every service in it is
 * borrowed from main or owned by worker.c. */
#ifndef WORKER_WORKER_STATE_H
#define WORKER_WORKER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "endpoint.h"
#include "net/http_conn.h"
#include "worker/worker.h"

struct question_table;
struct config;
struct fetch_link;
struct follow_table;
struct keeper_client;
struct ledger_reader;
struct ledger_txn;
struct listener;
struct listing_queue;
struct manifest_room;
struct recency;
struct timer;
struct worker;

struct front { /* an HTTP server per kind of listener; the server's arg */
    struct worker *worker;
    enum listener_kind kind;
    struct http_server *server;
};

#define WORKER_BLOCKS_MAX 16

struct worker {
    struct worker_options options;
    struct config *config; /* the newest; a reference */
    struct http_settings settings;
    struct front fronts[LISTENER_ADMIN]; /* by kind - 1 */
    struct listener *listeners[LISTENERS_MAX];
    unsigned listener_count;
    struct endpoint_set endpoints;

    struct ledger_reader *reader;
    struct ledger_txn *txn; /* the open read transaction, while reads > 0 */
    unsigned reads;

    struct fetch_link *fetcher;
    struct keeper_client *keeper;
    struct question_table *questions;
    struct follow_table *follows;
    struct listing_queue *listings;
    struct recency *recency;
    struct manifest_room *room;
    struct answer_bodies *answers;
    uint64_t large_key; /* of the pool: manifests that need room are read one at a time */

    uint64_t requests;               /* numbered from 1 */
    unsigned running;                /* requests that are not done */
    unsigned jobs;                   /* in the pool */
    char *blocks[WORKER_BLOCKS_MAX]; /* free blocks of upload bodies */
    unsigned block_count;

    struct timer *gauge_timer; /* while there are connections: their number is told to all */
    struct timer *drain_timer;
    uint64_t drain_until_ms;
    bool is_draining;
};

/* A read transaction of this worker: nests, and sees the snapshot of the outermost begin. Never
 * held across a turn of the loop. */
struct ledger_txn *worker_read(struct worker *worker);
void worker_read_end(struct worker *worker);

/* Work in the pool that belongs to this worker: worker_free waits for it. */
struct worker_job {
    struct pool_work work;
    struct worker *worker;
    struct config
        *config; /* the worker's when it was submitted; a reference until `done` is called */
    void (*run)(struct worker_job *job);
    void (*done)(struct worker_job *job);
};
void worker_submit(struct worker *worker, struct worker_job *job, uint64_t key);

#endif
