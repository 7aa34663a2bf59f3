/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST of a session: check the request, then, as far as needed, ask the keeper to mount the blob,
 * make room for one more session, tell the keeper that a push begins, create the file, and hand on
 * to upload_session.c. The slot is taken before the keeper is told, so that a refused push leaves
 * no mark.
 */
#include "answer.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "request.h"
#include "rules/may_push.h"
#include "rules/visible.h"
#include "serve.h"
#include "shadow.h"
#include "store/upload_lock.h"
#include "upload.h"
#include "upload_answer.h"
#include "upload_session.h"

/* Some clients send a small JSON text with the POST. */
#define IGNORED_BODY_MAX 4096u

/* ---- CREATING: the file ---- */

static void run_create(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    upload_file_create(&upload->file, &upload->err);
}

static void on_created(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind != ERR_NONE) {
        upload_file_drop_slot(&upload->file);
        upload_refuse(upload, &upload->err);
        upload_finish(upload);
    } else if (!upload->request) {
        upload_remove(upload, NULL);
    } else if (upload->aim == AIM_WHOLE) {
        upload_receive(upload);
    } else {
        upload_file_release(&upload->file);
        upload_answer_progress(upload, 202);
        upload_finish(upload);
    }
}

static void create(struct upload *upload)
{
    upload_run(upload, UPLOAD_CREATING, run_create, on_created);
}

/* ---- MARKING: the keeper is told that a push begins ---- */

static void on_marked(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct upload *upload = LIST_ITEM(call, struct upload, call);
    struct error err;

    if (upload->request && answer->is_done) {
        create(upload);
        return;
    }
    upload_file_drop_slot(&upload->file);
    if (upload->request) {
        keeper_answer_error(answer, &err);
        request_fail_error(upload->request, &err, API_NAME_UNKNOWN);
    }
    upload_finish(upload);
}

static void mark(struct upload *upload)
{
    upload->call.type = MESSAGE_PUSH_BEGUN;
    upload->call.message.push_begun =
        (struct message_push_begun){.repository = slice_of(upload->repository)};
    upload_ask(upload, UPLOAD_MARKING, on_marked);
}

/* ---- EVICTING: a slot ---- */

static void refuse_slot(struct upload *upload)
{
    if (upload->request) {
        request_failf(upload->request, API_TOOMANYREQUESTS,
                      "too many uploads are open (`limits.uploads`, "
                      "`limits.uploads_per_repository`); finish or end some of them");
    }
    upload_finish(upload);
}

static void take_slot(struct upload *upload)
{
    struct error err;

    if (upload_file_add_slot(&upload->file, &err) != 0)
        refuse_slot(upload);
    else if (push_mark_is_due(upload->request->config, &upload->request->target, clock_wall().ms))
        mark(upload);
    else
        create(upload);
}

/* A session without a byte costs its client nothing to begin again: of these the oldest goes first,
 * so that nobody who only begins uploads keeps others from pushing. */
static void evict(struct upload *upload, const uint64_t *repository_key)
{
    uint64_t now = clock_wall().ms;
    uint64_t idle = upload->job.config->limits.upload_idle;
    struct upload_choice empty = {
        .repository_key = repository_key, .before_ms = UINT64_MAX, .content = UPLOAD_EMPTY};
    struct upload_choice left = {.repository_key = repository_key,
                                 .before_ms = now > idle ? now - idle : 0};
    struct error ignored;

    if (upload_end_idlest(upload->file.store, upload->file.table, &empty, &ignored) != 0)
        upload_end_idlest(upload->file.store, upload->file.table, &left, &upload->err);
}

static void run_evict_own(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    evict(upload, &upload->file.progress.repository_key);
}

static void run_evict_any(struct worker_job *job)
{
    evict(LIST_ITEM(job, struct upload, job), NULL);
}

static void on_evicted(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind != ERR_NONE || !upload->request)
        refuse_slot(upload);
    else
        take_slot(upload);
}

static void make_room(struct upload *upload)
{
    const struct config *config = upload->request->config;
    const struct upload_file *file = &upload->file;
    bool counts = !file->is_unlisted;

    if (counts && upload_table_count_of(file->table, file->progress.repository_key) >=
                      config->limits.uploads_per_repository)
        upload_run(upload, UPLOAD_EVICTING, run_evict_own, on_evicted);
    else if (counts && upload_table_count(file->table) >= config->limits.uploads)
        upload_run(upload, UPLOAD_EVICTING, run_evict_any, on_evicted);
    else
        take_slot(upload);
}

/* ---- MOUNTING: a blob that is here already ---- */

/* A mount that the keeper refuses becomes an ordinary upload. */
static void on_mounted(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct upload *upload = LIST_ITEM(call, struct upload, call);

    if (!upload->request) {
        upload_finish(upload);
    } else if (answer->is_done) {
        upload_answer_stored(upload);
        upload_finish(upload);
    } else {
        upload->digest = upload->request->operation.digest_query;
        make_room(upload);
    }
}

static void mount(struct upload *upload)
{
    upload->digest = upload->request->operation.mount;
    upload->call.type = MESSAGE_LINK;
    upload->call.message.link = (struct message_link){
        .digest = upload->digest,
        .repository = slice_of(upload->repository),
    };
    upload_ask(upload, UPLOAD_MOUNTING, on_mounted);
}

/* A blob with a damaged file is not mounted: the client pushes it again, which repairs it. So does
 * one whose file must be compared first, for which a mount does not wait. */
static bool has_file(const struct request *request, const struct digest *digest,
                     const struct blob_record *record)
{
    struct store_blob found;
    struct log_line line;
    struct error err;
    char text[DIGEST_TEXT_SIZE];
    int rc = store_blob_check(request->worker->options.store, digest, record->size, &found, &err);

    if (rc == 0) {
        enum blob_trust trust = blob_trust(record, &found.identity);

        if (trust != BLOB_DAMAGED)
            return trust == BLOB_TRUSTED;
        (void)store_blob_refuse(request->worker->options.store, digest, &err);
    }
    log_begin(&line, LOG_ERROR);
    log_u64(&line, "req", request->id);
    log_slice(&line, "repo", request->target.name);
    log_text(&line, "digest", digest_print(digest, text));
    log_end(&line, "a stored file cannot be mounted, the client is asked for its bytes: %s",
            err.text);
    return false;
}

/* `from` is resolved, and its rights are asked for, as for a GET of the blob there. */
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
           has_file(request, &operation->mount, &record);
}

/* ---- the request ---- */

static bool has_body(const struct http_head *head)
{
    return head->body == HTTP_BODY_CHUNKED ||
           (head->body == HTTP_BODY_LENGTH && head->content_length > 0);
}

static bool check_start(struct request *request, struct ledger_txn *txn)
{
    const struct operation *operation = &request->operation;
    const struct config *config = request->config;
    struct error err;

    if (may_push(config, txn, &request->target, &err) != 0) {
        request_fail_error(request, &err, API_NAME_UNKNOWN);
        return false;
    }
    if (has_body(request->head) && !operation->has_digest &&
        (request->head->body == HTTP_BODY_CHUNKED ||
         request->head->content_length > IGNORED_BODY_MAX)) {
        request_failf(request, API_BLOB_UPLOAD_INVALID,
                      "a POST that begins an upload may have a body only with ?digest=, but for "
                      "%u bytes, which are ignored",
                      IGNORED_BODY_MAX);
        return false;
    }
    if (request->head->body == HTTP_BODY_LENGTH &&
        request->head->content_length > config->storage.blob_max) {
        (void)upload_refuse_size(config, &err);
        request_fail_error(request, &err, API_NAME_UNKNOWN);
        return false;
    }
    return true;
}

/* If a mount is impossible, the client gets an ordinary session, unless it has sent the blob too.
 */
static enum upload_aim aim_of(const struct request *request)
{
    const struct operation *operation = &request->operation;

    return operation->has_digest && (has_body(request->head) || !operation->has_mount) ? AIM_WHOLE
                                                                                       : AIM_BEGIN;
}

void upload_start(struct request *request, struct ledger_txn *txn)
{
    struct upload_id id;
    struct upload *upload;
    struct error err;

    if (!check_start(request, txn) || !shadow_may_push(request))
        return;
    if (upload_id_new(&id, &err) != 0) {
        request_fail_error(request, &err, API_UNKNOWN);
        return;
    }
    upload = upload_new(request, &id, aim_of(request));
    upload->digest = request->operation.digest_query;
    upload->file.is_unlisted = upload->aim == AIM_WHOLE;
    if (may_mount(request, txn))
        mount(upload);
    else
        make_room(upload);
}
