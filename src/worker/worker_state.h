/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker's modules share: one struct per worker, passed down. Its services are borrowed
 * from main (options) or owned by worker.c. worker_state.c has the functions. */
#ifndef WORKER_WORKER_STATE_H
#define WORKER_WORKER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "endpoint.h"
#include "net/http_conn.h"
#include "trust.h"
#include "worker/worker.h"

struct question_table;
struct config;
struct fetcher_client;
struct file_check_table;
struct follow_table;
struct keeper_client;
struct ledger_reader;
struct ledger_txn;
struct listener;
struct listing_queue;
struct manifest_budget;
struct recency;
struct timer;
struct worker;

struct front { /* one HTTP server for each kind of listener; it is the server's arg */
    struct worker *worker;
    enum listener_kind kind;
    struct http_server *server;
};

struct ending { /* of a worker that drains, or may soon */
    struct timer *timer;
    uint64_t delay_until_ms; /* the sockets are closed then */
    uint64_t until_ms;
    bool is_begun;
    bool has_stopped_serving; /* its sockets for clients are closed */
    struct timer *idle_timer; /* of a steward, which drains when it is idle */
    uint64_t requests_before; /* when that timer ran out last */
};

#define WORKER_BLOCKS_MAX 16

struct worker {
    struct worker_options options;
    struct config *config; /* the newest; a reference */
    struct http_settings settings;
    struct front fronts[LISTENER_KINDS - 1]; /* by kind - 1 */
    struct listener *listeners[LISTENERS_MAX];
    enum listener_kind listener_kinds[LISTENERS_MAX];
    unsigned listener_count;
    struct endpoint_set endpoints;
    struct trust trust; /* in proxies */

    struct ledger_reader *reader;
    struct ledger_txn *txn; /* the open read transaction, while reads > 0 */
    unsigned reads;

    struct fetcher_client *fetcher;
    struct keeper_client *keeper;
    struct question_table *questions;
    struct follow_table *follows;
    struct file_check_table *file_checks;
    struct listing_queue *listings;
    struct recency *recency;
    struct manifest_budget *manifest_budget;
    struct answer_bodies *answers;
    uint64_t large_key; /* key in the pool: work that needs much memory runs one at a time */

    uint64_t requests;               /* how many there were: the newest one's number */
    unsigned running;                /* requests that are not over */
    unsigned jobs;                   /* in the pool */
    char *blocks[WORKER_BLOCKS_MAX]; /* free blocks for upload bodies */
    unsigned block_count;

    struct timer *gauge_timer; /* publishes the number of connections while there are any */
    struct ending ending;
};

/* The read transaction of the loop's thread. It nests, and shows the snapshot of the outermost
 * begin. It is never held across a turn of the loop; work in the pool has a reader of its own. */
struct ledger_txn *worker_read(struct worker *worker);
void worker_read_end(struct worker *worker);

/* Work in the pool for this worker; worker_free waits for it. `run` is called on a thread of the
 * pool, `done` on the loop's, where the job may be freed or submitted again. */
struct worker_job {
    struct pool_work work;
    struct worker *worker;
    struct config *config; /* the worker's when it was submitted; a reference until `done` */
    void (*run)(struct worker_job *job);
    void (*done)(struct worker_job *job);
};
/* `run` and `done` are set. Jobs with the same key, not 0, run in order, one at a time. */
void worker_submit(struct worker *worker, struct worker_job *job, uint64_t key);

#endif
