/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline of a batch. What runs in the pool touches the batch and its requests alone. */
#include "batch.h"

#include <stdatomic.h>
#include <string.h>

#include "apply.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/pool.h"
#include "request.h"

#define FOLDERS  512u /* two algorithms, one byte of the digest */
#define ATTEMPTS 3    /* the map grows between them */

struct file_job { /* all files of one folder */
    struct pool_work work;
    struct batch *batch;
    struct request *first;
    struct request *last;
};

struct batch {
    struct batch_options options;
    struct list requests;
    struct file_job *jobs;
    size_t job_count;
    atomic_size_t jobs_running; /* who takes it to zero runs the transaction */
    size_t jobs_not_done;       /* on the loop */
    bool is_running;
    uint64_t now_ms;
    unsigned commits;
    struct error error;
};

struct batch *batch_new(const struct batch_options *options)
{
    struct batch *batch = NEW(struct batch);
    batch->options = *options;
    list_init(&batch->requests);
    return batch;
}

void batch_free(struct batch **batch)
{
    if (*batch == NULL)
        return;
    CHECK(!(*batch)->is_running);
    mem_free((*batch)->jobs);
    mem_free(*batch);
    *batch = NULL;
}

bool batch_is_running(const struct batch *batch)
{
    return batch->is_running;
}

struct list *batch_requests(struct batch *batch)
{
    return &batch->requests;
}

unsigned batch_commits(const struct batch *batch, struct error *out_error)
{
    *out_error = batch->error;
    return batch->commits;
}

/* ---- the transaction ---- */

/* Files are placed before it is known whether their request is refused. */
static bool is_orphan(struct ledger_txn *txn, const struct request *request)
{
    struct blob_record blob;
    return request->has_file && request->file_error.kind == ERR_NONE &&
           request->refusal.kind != ERR_NONE && !blob_find(txn, &request->digest, &blob);
}

static int commit_list(struct batch *batch, struct request *const *requests, size_t count,
                       struct error *err)
{
    struct ledger_txn *txn = NULL;
    int result = ledger_write(batch->options.ledger, &txn, err);
    if (result != 0)
        return result;
    struct apply apply = {txn, batch->options.config, batch->options.store, batch->now_ms};
    for (size_t i = 0; i < count && ledger_error(txn) == NULL; i++) {
        request_reset(requests[i]);
        apply_request(&apply, requests[i]);
    }
    for (size_t i = 0; i < count; i++)
        requests[i]->is_orphan = is_orphan(txn, requests[i]);
    uint64_t number = ledger_commit_number(txn);
    result = ledger_commit(&txn, err);
    if (result != 0)
        return result;
    batch->commits++;
    for (size_t i = 0; i < count; i++)
        requests[i]->number = number;
    return 0;
}

static int try_list(struct batch *batch, struct request *const *requests, size_t count,
                    struct error *err)
{
    int result = -1;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        result = commit_list(batch, requests, count, err);
        if (result != -ERR_NO_SPACE)
            break;
    }
    /* The environment is of no more use: the crash path makes a new one. */
    CHECK(result != -ERR_INTERNAL);
    return result;
}

static void try_each(struct batch *batch, struct request *const *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err;
        if (try_list(batch, &requests[i], 1, &err) == 0)
            continue;
        request_refuse(requests[i], err.kind, "%s", err.text);
        requests[i]->is_orphan = false; /* unknown: left alone */
    }
}

/* Nothing else places files while a batch runs. Of two requests with the same bytes the later may
 * have been taken; then a record names them. */
static void remove_orphans(struct batch *batch, struct request *const *requests, size_t count)
{
    struct error ignored;
    for (size_t i = 0; i < count; i++) {
        if (requests[i]->is_orphan)
            (void)store_blob_remove(batch->options.store, &requests[i]->digest, &ignored);
    }
}

static void run_transaction(struct batch *batch)
{
    size_t count = list_length(&batch->requests);
    AUTO_FREE struct request **requests = mem_zalloc(count + 1, sizeof(struct request *));
    size_t at = 0;
    LIST_EACH (link, &batch->requests)
        requests[at++] = LIST_ITEM(link, struct request, link);
    if (try_list(batch, requests, count, &batch->error) == 0) {
        batch->error.kind = ERR_NONE;
    } else {
        try_each(batch, requests, count);
    }
    remove_orphans(batch, requests, count);
}

/* ---- files ---- */

static void place_files(struct file_job *job)
{
    struct store *store = job->batch->options.store;
    for (struct request *request = job->first; request != NULL; request = request->next_in_folder) {
        (void)store_place(store, &request->file, &request->digest, &request->file_error);
    }
    struct error err = {.kind = ERR_NONE};
    if (job->first == NULL || store_sync_blob_folder(store, &job->first->digest, &err) == 0)
        return;
    for (struct request *request = job->first; request != NULL; request = request->next_in_folder) {
        if (request->file_error.kind == ERR_NONE)
            request->file_error = err;
    }
}

static void on_run(struct pool_work *work)
{
    struct file_job *job = LIST_ITEM(work, struct file_job, work);
    struct batch *batch = job->batch;
    place_files(job);
    if (atomic_fetch_sub(&batch->jobs_running, 1) == 1)
        run_transaction(batch);
}

static void on_done(struct pool_work *work)
{
    struct file_job *job = LIST_ITEM(work, struct file_job, work);
    struct batch *batch = job->batch;
    if (--batch->jobs_not_done > 0)
        return;
    batch->is_running = false;
    mem_free(batch->jobs);
    batch->jobs = NULL;
    batch->options.on_done(batch, batch->options.arg);
}

static void add_to_job(struct file_job *job, struct request *request)
{
    request->next_in_folder = NULL;
    if (job->last != NULL) {
        job->last->next_in_folder = request;
    } else {
        job->first = request;
    }
    job->last = request;
}

/* At least one job, which has no files when no request has. */
static void make_jobs(struct batch *batch)
{
    uint16_t jobs_of[FOLDERS] = {0}; /* number of the job + 1 */
    batch->jobs = mem_zalloc(list_length(&batch->requests) + 1, sizeof(struct file_job));
    batch->job_count = 0;
    LIST_EACH (link, &batch->requests) {
        struct request *request = LIST_ITEM(link, struct request, link);
        if (!request->has_file)
            continue;
        unsigned folder = request->digest.bytes[0];
        if (request->digest.algorithm == HASH_SHA512)
            folder += FOLDERS / 2;
        if (jobs_of[folder] == 0)
            jobs_of[folder] = (uint16_t)++batch->job_count;
        add_to_job(&batch->jobs[jobs_of[folder] - 1], request);
    }
    if (batch->job_count == 0)
        batch->job_count = 1;
}

void batch_start(struct batch *batch, struct list *requests, uint64_t now_ms)
{
    CHECK(!batch->is_running && list_is_empty(&batch->requests));
    LIST_EACH (link, requests) {
        list_remove(link);
        list_append(&batch->requests, link);
    }
    batch->is_running = true;
    batch->now_ms = now_ms;
    batch->commits = 0;
    batch->error.kind = ERR_NONE;
    make_jobs(batch);
    size_t count = batch->job_count;
    batch->jobs_not_done = count;
    atomic_store(&batch->jobs_running, count);
    for (size_t i = 0; i < count; i++) {
        batch->jobs[i].batch = batch;
        batch->jobs[i].work.run = on_run;
        batch->jobs[i].work.done = on_done;
    }
    for (size_t i = 0; i < count; i++)
        pool_submit(batch->options.pool, &batch->jobs[i].work);
}
