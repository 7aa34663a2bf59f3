/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST of a session: is the name open to pushes → (mount: LINK) → the pusher's mark with the keeper
 * → file and slot → 202, or with ?digest= the whole upload in one request.
 */
#include <stdio.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "rules/may_push.h"
#include "rules/visible.h"
#include "serve.h"
#include "upload.h"
#include "upload_answer.h"
#include "upload_body.h"
#include "upload_session.h"

/* ---- the session ---- */

static void on_created(struct upload *upload)
{
    if (upload->err.kind != ERR_NONE || !upload->request) {
        upload_table_remove(upload->worker->options.uploads, &upload->id);
        upload->is_answered = true;
        if (upload->request)
            request_fail_error(upload->request, &upload->err, API_UNKNOWN);
        if (upload->err.kind == ERR_NONE) {
            upload_remove(upload, upload_let_go);
            return;
        }
        upload_let_go(upload);
        return;
    }
    if (upload->has_digest) {
        upload->is_left = true;
        upload_receive(upload);
        return;
    }
    upload->is_answered = true;
    fd_close(&upload->fd);
    upload_answer_progress(upload, 202);
}

/* ---- the pusher's mark ---- */

static void on_marked(struct keep_ask *ask, const struct keep_answer *answer)
{
    struct upload *upload = LIST_ITEM(ask, struct upload, ask);
    struct error err;
    upload->jobs--;
    if (upload->request && answer->is_done) {
        upload_create(upload, on_created);
        return;
    }
    upload_table_remove(upload->worker->options.uploads, &upload->id);
    upload->is_answered = true;
    if (upload->request) {
        keep_answer_error(answer, &err);
        request_fail_error(upload->request, &err, API_NAME_UNKNOWN);
    }
    upload_let_go(upload);
}

static void mark(struct upload *upload)
{
    upload->ask.type = MESSAGE_PUSH_BEGUN;
    upload->ask.on_answer = on_marked;
    upload->ask.message.push_begun =
        (struct message_push_begun){.repository = slice_of(upload->repository)};
    upload->jobs++;
    keep_link_ask(upload->worker->keeper, &upload->ask);
}

/* ---- the slot: before the mark, so that a refused push leaves none ---- */

static void refuse_slot(struct upload *upload)
{
    upload->is_answered = true;
    if (upload->request)
        request_failf(upload->request, API_TOOMANYREQUESTS,
                      "too many uploads are open; finish or end some of them");
    upload_let_go(upload);
}

static void add_slot(struct upload *upload)
{
    struct error err;
    upload->progress.used_ms = clock_wall().ms;
    if (upload_table_add(upload->worker->options.uploads, &upload->id, &upload->progress, &err) !=
        0) {
        refuse_slot(upload);
    } else if (push_mark_is_due(upload->request->config, &upload->request->target,
                                clock_wall().ms)) {
        mark(upload);
    } else {
        upload_create(upload, on_created);
    }
}

static void on_evicted(struct upload *upload)
{
    if (upload->err.kind != ERR_NONE || !upload->request) {
        refuse_slot(upload);
    } else {
        add_slot(upload);
    }
}

static void begin(struct upload *upload)
{
    const struct config *config = upload->request->config;
    struct upload_table *uploads = upload->worker->options.uploads;
    if (upload_table_count_of(uploads, upload->progress.repository_key) >=
        config->limits.uploads_per_repository) {
        upload_evict(upload, false, on_evicted);
    } else if (upload_table_count(uploads) >= config->limits.uploads) {
        upload_evict(upload, true, on_evicted);
    } else {
        add_slot(upload);
    }
}

/* ---- mount ---- */

static void on_linked(struct keep_ask *ask, const struct keep_answer *answer)
{
    struct upload *upload = LIST_ITEM(ask, struct upload, ask);
    upload->jobs--;
    if (!upload->request) {
        upload_let_go(upload);
    } else if (answer->is_done) {
        upload->is_answered = true;
        upload_answer_stored(upload);
    } else {
        upload->digest = upload->request->operation.digest_query;
        begin(upload);
    }
}

/* What is damaged is not mounted: the push heals it. */
static bool has_file(const struct request *request, const struct digest *digest, uint64_t size)
{
    AUTO_CLOSE int fd = -1;
    struct error ignored;
    return store_blob_open(request->worker->options.store, digest, size, &fd, NULL, &ignored) == 0;
}

/* `from` means what it would mean to a GET of the blob. */
static bool may_mount(const struct request *request, struct ledger_txn *txn)
{
    const struct operation *operation = &request->operation;
    if (!operation->has_mount || !operation->has_from)
        return false;
    struct operation read = {
        .kind = OPERATION_BLOB,
        .method = METHOD_GET,
        .name = operation->from,
        .digest = operation->mount,
    };
    struct resolve_question question = {
        .config = request->config,
        .operation = &read,
        .action = ACTION_PULL,
        .is_mirror = request->listener == LISTENER_MIRROR,
        .now_ms = clock_wall().ms,
    };
    struct resolved from = {.is_bare = false};
    struct permit permit;
    struct api_error error;
    struct blob_record record;
    return resolve(&question, txn, &from, &error) == 0 &&
           authorize_other(&request->permit, &from, ACTION_PULL, &permit, &error) == 0 &&
           visible_blob(&permit, txn, &operation->mount, &record) == VISIBLE_HERE &&
           has_file(request, &operation->mount, record.size);
}

static void mount(struct upload *upload)
{
    upload->digest = upload->request->operation.mount;
    upload->ask.type = MESSAGE_LINK;
    upload->ask.on_answer = on_linked;
    upload->ask.message.link = (struct message_link){
        .digest = upload->digest,
        .repository = slice_of(upload->repository),
    };
    upload->jobs++;
    keep_link_ask(upload->worker->keeper, &upload->ask);
}

/* ---- */

static bool has_body(const struct http_head *head)
{
    return head->body == HTTP_BODY_CHUNKED ||
           (head->body == HTTP_BODY_LENGTH && head->content_length > 0);
}

static bool check_start(struct request *request, struct ledger_txn *txn)
{
    const struct operation *operation = &request->operation;
    const struct config *config = request->config;
    struct api_error error;
    struct error err;
    if (may_push(config, txn, &request->target, &err) != 0) {
        request_fail_error(request, &err, API_NAME_UNKNOWN);
        return false;
    }
    if (has_body(request->head) && !operation->has_digest) {
        request_failf(request, API_BLOB_UPLOAD_INVALID,
                      "a POST that begins an upload has no body, unless its ?digest= is given");
        return false;
    }
    if (request->head->body == HTTP_BODY_LENGTH &&
        request->head->content_length > config->storage.blob_max) {
        api_error_set_status(&error, API_SIZE_INVALID, 413,
                             "a blob may not be larger than %llu bytes (`storage.blob_max`)",
                             (unsigned long long)config->storage.blob_max);
        request_fail(request, &error);
        return false;
    }
    return true;
}

void upload_start(struct request *request, struct ledger_txn *txn)
{
    struct upload_id id;
    struct error err;
    if (!check_start(request, txn))
        return;
    if (upload_id_new(&id, &err) != 0) {
        request_fail_error(request, &err, API_UNKNOWN);
        return;
    }
    struct upload *upload = upload_new(request, &id);
    /* A mount that cannot be goes on as an ordinary upload, unless the blob came along. */
    upload->has_digest =
        request->operation.has_digest && (has_body(request->head) || !request->operation.has_mount);
    upload->digest = request->operation.digest_query;
    if (may_mount(request, txn)) {
        mount(upload);
    } else {
        begin(upload);
    }
}
