/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A check belongs to the table until it is over. Requests wait in its list; one that ends leaves
 * it, or has waited long enough for its client, and the check goes on without: the next client need
 * not wait as long. Of large files one at a time is read, so that a restored storage folder does
 * not take the whole pool.
 */
#include "file_check.h"

#include <stdatomic.h>
#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "oci/api_error.h"
#include "request.h"
#include "worker_state.h"

#define SMALL_MAX ((uint64_t)4 * 1024 * 1024) /* the largest manifest */
#define WAIT_MS   60000 /* of a request; clients and proxies give up after some minutes */
#define TOLD_MAX  64    /* checks that the keeper is told of: a part of the worker's credits */
#define KEY_MAX   (DIGEST_BINARY_MAX + sizeof(struct file_identity))

struct file_check_table {
    struct worker *worker;
    struct map *checks;
    uint64_t large_key; /* in the pool */
    unsigned told;      /* checks that the keeper has not answered */
    atomic_bool is_cancelled;
};

struct stored_check {
    struct worker_job job;
    struct file_check_table *table;
    struct digest digest;
    struct store_blob blob;
    bool is_record_right;
    bool is_each_time;
    bool is_listed;
    int fd;
    struct error err;          /* of the job */
    enum file_verdict verdict; /* FILE_UNKNOWN while it runs */
    struct list waiters;
    struct keeper_call call;
    size_t key_length;
    char key[KEY_MAX];
};

struct check_waiter { /* a request's step */
    struct list link;
    struct request *request;
    struct timer *timer;
};

/* ---- the requests ---- */

static void waiter_free(struct check_waiter *waiter)
{
    loop_cancel_deferred(waiter->request->worker->options.loop, waiter);
    timer_free(&waiter->timer);
    list_remove(&waiter->link);
    mem_free(waiter);
}

static void on_waiter_gone(struct request *request)
{
    waiter_free(request->step);
}

static const struct request_steps waiter_steps = {.on_gone = on_waiter_gone};

static void on_waiter_late(void *arg)
{
    struct check_waiter *waiter = arg;
    struct request *request = waiter->request;

    request_set_step(request, NULL, NULL);
    waiter_free(waiter);
    fd_close(&request->fd);
    request_failf(request, API_UNAVAILABLE,
                  "the stored file has changed and is still being compared with its digest; "
                  "ask again later");
}

static void on_waiter_timer(void *arg)
{
    struct check_waiter *waiter = arg;

    loop_defer(waiter->request->worker->options.loop, on_waiter_late, waiter);
}

static void wait_for(struct stored_check *check, struct request *request)
{
    struct loop *loop = request->worker->options.loop;
    struct check_waiter *waiter = NEW(struct check_waiter);

    waiter->request = request;
    waiter->timer = timer_new(loop, on_waiter_timer, waiter);
    timer_start(waiter->timer, WAIT_MS);
    list_init(&waiter->link);
    list_append(&check->waiters, &waiter->link);
    request_set_step(request, &waiter_steps, waiter);
}

static void go_on(struct request *request, const struct file_finding *finding,
                  const struct error *err)
{
    struct worker *worker = request->worker;

    request->finding = *finding;
    fd_close(&request->fd);
    if (finding->verdict == FILE_UNREADABLE) {
        request_failf(request, API_UNAVAILABLE, "the stored file cannot be read now: %s",
                      err->text);
        return;
    }
    struct ledger_txn *txn = worker_read(worker);
    resolve_refresh(&request->target, txn);
    request->endpoint->handle(request, txn);
    worker_read_end(worker);
}

/* Those that ask again from now on do not come into this list: the check has its verdict. */
static void release_waiters(struct stored_check *check)
{
    const struct file_finding finding = {check->digest, check->blob.identity, check->verdict};

    while (!list_is_empty(&check->waiters)) {
        struct check_waiter *waiter = LIST_ITEM(check->waiters.next, struct check_waiter, link);
        struct request *request = waiter->request;

        request_set_step(request, NULL, NULL);
        waiter_free(waiter);
        go_on(request, &finding, &check->err);
    }
}

/* ---- the check ---- */

static void check_unlist(struct stored_check *check)
{
    if (check->is_listed)
        map_remove(check->table->checks, slice_from(check->key, check->key_length));
    check->is_listed = false;
}

static void check_end(struct stored_check *check)
{
    release_waiters(check);
    check_unlist(check);
    mem_free(check);
}

/* Whatever the keeper has said: our clients get what we have found, and without a word in the
 * record the next request compares again. */
static void on_told(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct stored_check *check = LIST_ITEM(call, struct stored_check, call);

    (void)answer;
    check->table->told--;
    check_end(check);
}

/* The keeper believes nothing of it, and reads the file itself. Other processes must know of damage
 * before they are asked for the bytes. That a file is right keeps no client waiting, and is
 * remembered here until the keeper has looked, however long that takes. */
static void tell_keeper(struct stored_check *check)
{
    if (check->verdict == FILE_RIGHT && check->is_each_time)
        check_unlist(check); /* the next request does not join it */
    if (check->verdict == FILE_RIGHT)
        release_waiters(check);
    if (check->table->told == TOLD_MAX) {
        check_end(check);
        return;
    }
    check->table->told++;
    check->call.type = MESSAGE_BLOB_SUSPECTED;
    check->call.on_answer = on_told;
    check->call.is_patient = check->verdict == FILE_RIGHT;
    check->call.message.blob_suspected = (struct message_blob_suspected){
        .digest = check->digest,
        .size = check->blob.size,
        .is_wrong = check->verdict == FILE_WRONG,
    };
    keeper_client_ask(check->table->worker->keeper, &check->call);
}

static void log_unreadable(const struct stored_check *check)
{
    struct log_line line;
    char text[DIGEST_TEXT_SIZE];

    log_begin(&line, LOG_ERROR);
    log_text(&line, "digest", digest_print(&check->digest, text));
    log_end(&line, "a stored file cannot be compared with its digest: %s", check->err.text);
}

static void run_check(struct worker_job *job)
{
    struct stored_check *check = LIST_ITEM(job, struct stored_check, job);

    (void)file_hash_compare(check->fd, check->blob.size, &check->digest,
                            &check->table->is_cancelled, &check->err);
}

static void on_check_done(struct worker_job *job)
{
    struct stored_check *check = LIST_ITEM(job, struct stored_check, job);

    fd_close(&check->fd);
    metrics_add(METRIC_files_compared, 1);
    if (check->err.kind == ERR_NONE) {
        check->verdict = FILE_RIGHT;
    } else if (check->err.kind == ERR_CORRUPT) {
        check->verdict = FILE_WRONG;
        metrics_add(METRIC_files_damaged, 1);
    } else {
        check->verdict = FILE_UNREADABLE;
        log_unreadable(check);
    }
    bool is_news =
        check->verdict == FILE_WRONG || (check->verdict == FILE_RIGHT && !check->is_record_right);
    if (is_news)
        tell_keeper(check);
    else
        check_end(check);
}

static struct slice make_key(const struct digest *digest, const struct file_identity *file,
                             char out[KEY_MAX])
{
    uint8_t binary[DIGEST_BINARY_MAX];
    size_t length = digest_encode(digest, binary);

    memcpy(out, binary, length);
    memcpy(out + length, file, sizeof(*file));
    return slice_from(out, length + sizeof(*file));
}

static struct stored_check *start(struct file_check_table *table, const struct digest *digest,
                                  const struct store_blob *blob, int *fd)
{
    struct stored_check *check = NEW(struct stored_check);

    check->table = table;
    check->digest = *digest;
    check->blob = *blob;
    check->fd = fd_take(fd);
    list_init(&check->waiters);
    struct slice key = make_key(digest, &blob->identity, check->key);
    check->key_length = key.length;
    map_set(table->checks, key, check);
    check->is_listed = true;
    check->job.run = run_check;
    check->job.done = on_check_done;
    worker_submit(table->worker, &check->job, blob->size > SMALL_MAX ? table->large_key : 0);
    return check;
}

static bool is_about(const struct file_finding *finding, const struct digest *digest,
                     const struct store_blob *blob)
{
    return finding->verdict != FILE_UNKNOWN && digest_equal(&finding->digest, digest) &&
           file_identity_equal(&finding->file, &blob->identity);
}

enum file_verdict file_check(struct request *request, const struct digest *digest,
                             const struct store_blob *blob, enum blob_trust trust,
                             bool is_each_time)
{
    struct file_check_table *table = request->worker->file_checks;
    char key[KEY_MAX];

    if (is_about(&request->finding, digest, blob))
        return request->finding.verdict;
    struct stored_check *check = map_find(table->checks, make_key(digest, &blob->identity, key));
    if (check && check->verdict == FILE_RIGHT)
        return FILE_RIGHT; /* a blob, of which the keeper is being told */
    if (!check) {
        check = start(table, digest, blob, &request->fd);
        check->is_record_right = trust == BLOB_TRUSTED;
        check->is_each_time = is_each_time;
    }
    wait_for(check, request);
    return FILE_UNKNOWN;
}

/* ---- the table ---- */

struct file_check_table *file_check_table_new(struct worker *worker)
{
    struct file_check_table *table = NEW(struct file_check_table);

    table->worker = worker;
    table->checks = map_new();
    table->large_key = pool_new_key();
    return table;
}

void file_check_cancel(struct file_check_table *table)
{
    atomic_store(&table->is_cancelled, true);
}

void file_check_table_free(struct file_check_table **table)
{
    if (!*table)
        return;
    CHECK(map_count((*table)->checks) == 0);
    map_free(&(*table)->checks);
    mem_free(TAKE(*table));
}
