/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline of a batch. Code in the pool touches only the batch and its orders. */
#include "batch.h"

#include <stdatomic.h>
#include <string.h>

#include "apply.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/pool.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "order.h"
#include "orphans.h"
#include "store/ledger.h"
#include "store/store.h"
#include "verify.h"

#define FOLDERS  512u /* two algorithms, one byte of the digest */
#define ATTEMPTS 3    /* the map grows between them */

struct file_job { /* all files of one folder */
    struct pool_work work;
    struct batch *batch;
    struct order *first;
    struct order *last;
};

struct batch {
    struct batch_options options;
    struct list orders;
    struct ledger_reader *reader; /* of `orphans` */
    struct orphans orphans;
    struct file_job *jobs;
    size_t job_count;
    atomic_size_t jobs_running; /* the job that takes it to zero runs the transaction */
    size_t jobs_not_done;       /* on the loop */
    bool is_running;
    struct config *config; /* a reference, while the batch runs */
    uint64_t now_ms;
    unsigned commits;
    struct error error;
};

struct batch *batch_new(const struct batch_options *options)
{
    struct batch *batch = NEW(struct batch);

    batch->options = *options;
    list_init(&batch->orders);
    batch->reader = ledger_reader_new(options->ledger);
    orphans_init(&batch->orphans, BATCH_ORDERS_MAX);
    return batch;
}

void batch_free(struct batch **batch)
{
    if (!*batch)
        return;
    CHECK(!(*batch)->is_running);
    ledger_reader_free(&(*batch)->reader);
    orphans_cleanup(&(*batch)->orphans);
    mem_free((*batch)->jobs);
    mem_free(*batch);
    *batch = NULL;
}

bool batch_is_running(const struct batch *batch)
{
    return batch->is_running;
}

struct list *batch_orders(struct batch *batch)
{
    return &batch->orders;
}

unsigned batch_commits(const struct batch *batch, struct error *out_error)
{
    *out_error = batch->error;
    return batch->commits;
}

/* ---- the transaction ---- */

/* Files are placed before it is known whether their order is refused. */
static bool may_be_orphan(const struct order *order)
{
    return order->has_file && order->trust != ORDER_KNOWN && order->file_error.kind == ERR_NONE &&
           order->refusal.kind != ERR_NONE;
}

/* The orders of a transaction that was committed. If one failed, it is not known whether a record
 * names its files, so they are not collected and stay. */
static void set_committed(struct batch *batch, struct order *const *orders, size_t count,
                          uint64_t number)
{
    batch->commits++;
    for (size_t i = 0; i < count; i++) {
        orders[i]->number = number;
        if (may_be_orphan(orders[i]))
            orphans_add(&batch->orphans, &orders[i]->digest);
    }
}

static int commit_orders(struct batch *batch, struct order *const *orders, size_t count,
                         struct error *err)
{
    struct ledger_txn *txn = NULL;
    uint64_t began_us = clock_mono_us();
    int rc = ledger_write(batch->options.ledger, &txn, err);

    if (rc != 0)
        return rc;
    struct apply apply = {
        .txn = txn,
        .config = batch->config,
        .store = batch->options.store,
        .now_ms = batch->now_ms,
    };
    for (size_t i = 0; i < count && !ledger_error(txn); i++) {
        order_reset(orders[i]);
        if (orders[i]->trust != ORDER_KNOWN)
            apply_order(&apply, orders[i]);
    }
    uint64_t number = 0;
    rc = ledger_commit_number(txn, &number, err);
    if (rc != 0) {
        ledger_abort(&txn);
        return rc;
    }
    rc = ledger_commit(&txn, err);
    if (rc != 0)
        return rc;
    metrics_observe(METRIC_commit_seconds, 0, clock_mono_us() - began_us);
    set_committed(batch, orders, count, number);
    return 0;
}

static int try_orders(struct batch *batch, struct order *const *orders, size_t count,
                      struct error *err)
{
    int rc = -1;

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        rc = commit_orders(batch, orders, count, err);
        if (rc != -ERR_NO_SPACE)
            break;
    }
    /* LMDB cannot use the environment any more: abort, and the next keeper opens it again. */
    CHECK(rc != -ERR_INTERNAL);
    return rc;
}

static void try_orders_singly(struct batch *batch, struct order *const *orders, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err;

        if (try_orders(batch, &orders[i], 1, &err) != 0)
            order_refuse(orders[i], err.kind, "%s", err.text);
    }
}

static void run_transaction(struct batch *batch)
{
    size_t count = list_length(&batch->orders);
    AUTO_FREE struct order **orders = mem_zalloc(count + 1, sizeof(struct order *));
    size_t at = 0;

    LIST_EACH (link, &batch->orders)
        orders[at++] = LIST_ITEM(link, struct order, link);

    if (try_orders(batch, orders, count, &batch->error) == 0)
        batch->error.kind = ERR_NONE;
    else
        try_orders_singly(batch, orders, count);
    (void)orphans_remove(&batch->orphans, batch->reader, batch->options.store);
    orphans_close(&batch->orphans);
}

/* ---- files ---- */

/* Whether something has the digest of this order: a file, whatever its state, which may have been
 * placed a moment ago, or a record. If the ledger cannot be read it may be so. */
static bool is_known(struct batch *batch, const struct order *order)
{
    struct blob_record blob;
    struct error err;

    if (store_blob_check(batch->options.store, &order->digest, UINT64_MAX, NULL, &err) !=
        -ERR_NOT_FOUND)
        return true;
    struct ledger_reader *reader = ledger_reader_new(batch->options.ledger);
    struct ledger_txn *txn = ledger_read(reader);
    bool is_known = blob_find(txn, &order->digest, &blob) || ledger_error(txn);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return is_known;
}

/* Before the file of an order is placed. A blob that is new here harms nobody but those who trust
 * its repository; the bytes of one that is here belong to others too. */
static void check_trust(struct batch *batch, struct order *order)
{
    if (order->trust != ORDER_UNCHECKED)
        return;
    if (order->type == MESSAGE_BLOB_STORED) {
        if (is_known(batch, order))
            order->trust = ORDER_KNOWN;
    } else if (order->type == MESSAGE_MANIFEST_PUT) {
        struct error err;
        int rc = verify_manifest(batch->options.store, order, &err);

        order->trust = rc == 0 ? ORDER_TRUSTED : ORDER_FAILED;
        if (rc != 0)
            order->file_error = err;
    }
}

static bool may_be_placed(const struct order *order)
{
    return order->has_file && (order->trust == ORDER_TRUSTED || order->trust == ORDER_UNCHECKED);
}

/* Its identity is that of the file whose bytes the sender has just compared. */
static bool place_file(struct store *store, struct order *order)
{
    struct store_blob placed;

    if (store_place(store, &order->file, &order->digest, &order->file_error) != 0 ||
        store_blob_check(store, &order->digest, order->file.size, &placed, &order->file_error) != 0)
        return false;
    order->placed = placed.identity;
    return true;
}

static void place_files(struct file_job *job)
{
    struct store *store = job->batch->options.store;
    bool is_placed = false;

    for (struct order *order = job->first; order; order = order->next_in_folder) {
        check_trust(job->batch, order);
        if (may_be_placed(order) && place_file(store, order))
            is_placed = true;
    }
    struct error err = {.kind = ERR_NONE};
    if (!is_placed || store_sync_blob_folder(store, &job->first->digest, &err) == 0)
        return;
    for (struct order *order = job->first; order; order = order->next_in_folder) {
        if (may_be_placed(order) && order->file_error.kind == ERR_NONE)
            order->file_error = err;
    }
}

static void on_files_run(struct pool_work *work)
{
    struct file_job *job = LIST_ITEM(work, struct file_job, work);
    struct batch *batch = job->batch;

    place_files(job);
    if (atomic_fetch_sub(&batch->jobs_running, 1) == 1)
        run_transaction(batch);
}

static void on_files_done(struct pool_work *work)
{
    struct file_job *job = LIST_ITEM(work, struct file_job, work);
    struct batch *batch = job->batch;

    if (--batch->jobs_not_done > 0)
        return;
    batch->is_running = false;
    config_unref(&batch->config);
    mem_free(batch->jobs);
    batch->jobs = NULL;
    batch->options.on_done(batch, batch->options.arg);
}

static void add_to_job(struct file_job *job, struct order *order)
{
    order->next_in_folder = NULL;
    if (job->last)
        job->last->next_in_folder = order;
    else
        job->first = order;
    job->last = order;
}

/* A file to be placed, or one to be looked at. */
static bool has_file_work(const struct order *order)
{
    return order->has_file ||
           (order->type == MESSAGE_MANIFEST_PUT && order->trust == ORDER_UNCHECKED);
}

/* If no order has a file, there is still one job, which runs the transaction. */
static void make_jobs(struct batch *batch)
{
    uint16_t jobs_of[FOLDERS] = {0}; /* number of the job + 1 */

    batch->jobs = mem_zalloc(list_length(&batch->orders) + 1, sizeof(struct file_job));
    batch->job_count = 0;
    LIST_EACH (link, &batch->orders) {
        struct order *order = LIST_ITEM(link, struct order, link);

        if (!has_file_work(order))
            continue;
        unsigned folder = order->digest.bytes[0];
        if (order->digest.algorithm == HASH_SHA512)
            folder += FOLDERS / 2;
        if (jobs_of[folder] == 0)
            jobs_of[folder] = (uint16_t)++batch->job_count;
        add_to_job(&batch->jobs[jobs_of[folder] - 1], order);
    }
    if (batch->job_count == 0)
        batch->job_count = 1;
}

void batch_start(struct batch *batch, struct list *orders, struct config *config, uint64_t now_ms)
{
    CHECK(!batch->is_running && list_is_empty(&batch->orders));
    LIST_EACH (link, orders) {
        list_remove(link);
        list_append(&batch->orders, link);
    }
    batch->is_running = true;
    batch->config = config_ref(config);
    batch->now_ms = now_ms;
    batch->commits = 0;
    batch->error.kind = ERR_NONE;
    make_jobs(batch);
    size_t count = batch->job_count;
    batch->jobs_not_done = count;
    atomic_store(&batch->jobs_running, count);
    for (size_t i = 0; i < count; i++) {
        batch->jobs[i].batch = batch;
        batch->jobs[i].work.run = on_files_run;
        batch->jobs[i].work.done = on_files_done;
    }
    for (size_t i = 0; i < count; i++)
        pool_submit(batch->options.pool, &batch->jobs[i].work);
}
