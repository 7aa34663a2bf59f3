/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads: their life, and the way of a body from the first block to the answer. The picture is in
 * upload_session.h. */
#include "upload_session.h"

#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "oci/api_error.h"
#include "request.h"
#include "upload_answer.h"

/* ---- life ---- */

static const char *const state_names[UPLOAD_STATES] = {
    [UPLOAD_NEW] = "new",
    [UPLOAD_MOUNTING] = "mounting",
    [UPLOAD_EVICTING] = "evicting",
    [UPLOAD_MARKING] = "marking",
    [UPLOAD_CREATING] = "creating",
    [UPLOAD_OPENING] = "opening",
    [UPLOAD_LOOKING] = "looking",
    [UPLOAD_RECEIVING] = "receiving",
    [UPLOAD_RELEASING] = "releasing",
    [UPLOAD_CLOSING] = "closing",
    [UPLOAD_ASKED] = "asked",
    [UPLOAD_RESTORING] = "restoring",
    [UPLOAD_REMOVING] = "removing",
    [UPLOAD_DONE] = "done",
};

#define TO(state) (1u << UPLOAD_##state)
static const unsigned moves[UPLOAD_STATES] = {
    [UPLOAD_NEW] = TO(MOUNTING) | TO(EVICTING) | TO(MARKING) | TO(CREATING) | TO(OPENING) |
                   TO(LOOKING) | TO(DONE),
    [UPLOAD_MOUNTING] = TO(EVICTING) | TO(MARKING) | TO(CREATING) | TO(DONE),
    [UPLOAD_EVICTING] = TO(MARKING) | TO(CREATING) | TO(DONE),
    [UPLOAD_MARKING] = TO(CREATING) | TO(DONE),
    [UPLOAD_CREATING] = TO(RECEIVING) | TO(REMOVING) | TO(DONE),
    [UPLOAD_OPENING] = TO(RECEIVING) | TO(REMOVING) | TO(DONE),
    [UPLOAD_LOOKING] = TO(DONE),
    [UPLOAD_RECEIVING] = TO(RELEASING) | TO(CLOSING) | TO(REMOVING),
    [UPLOAD_RELEASING] = TO(DONE),
    [UPLOAD_CLOSING] = TO(ASKED) | TO(REMOVING) | TO(DONE),
    [UPLOAD_ASKED] = TO(RESTORING) | TO(REMOVING) | TO(DONE),
    [UPLOAD_RESTORING] = TO(DONE),
    [UPLOAD_REMOVING] = TO(DONE),
};
#undef TO

static void log_upload(const struct upload *upload, enum log_level level, const char *text)
{
    struct log_line line;

    log_begin(&line, level);
    if (upload->request)
        log_u64(&line, "req", upload->request->id);
    log_text(&line, "repo", upload->repository);
    log_text(&line, "upload", upload->file.name);
    log_end(&line, "%s", text);
}

void upload_set_state(struct upload *upload, enum upload_state next)
{
    CHECK((moves[upload->state] & (1u << next)) != 0);
    if (log_is_on(LOG_DEBUG)) {
        char text[40];

        (void)snprintf(text, sizeof(text), "%s -> %s", state_names[upload->state],
                       state_names[next]);
        log_upload(upload, LOG_DEBUG, text);
    }
    upload->state = next;
}

static void upload_free(struct upload *upload)
{
    upload_body_cleanup(&upload->body);
    mem_free(upload);
}

void upload_finish(struct upload *upload)
{
    CHECK(upload->file.fd < 0);
    upload_set_state(upload, UPLOAD_DONE);
    if (!upload->request)
        upload_free(upload);
}

void upload_run(struct upload *upload, enum upload_state next, void (*run)(struct worker_job *job),
                void (*done)(struct worker_job *job))
{
    upload_set_state(upload, next);
    upload->err.kind = ERR_NONE;
    upload->job.run = run;
    upload->job.done = done;
    worker_submit(upload->worker, &upload->job, upload->body.key);
}

void upload_ask(struct upload *upload, enum upload_state next, keeper_call_fn *on_answer)
{
    upload_set_state(upload, next);
    upload->call.on_answer = on_answer;
    keeper_client_ask(upload->worker->keeper, &upload->call);
}

int upload_refuse_size(const struct config *config, struct error *err)
{
    return error_set(err, ERR_TOO_LARGE,
                     "a blob may not be larger than %llu bytes (`storage.blob_max`)",
                     (unsigned long long)config->storage.blob_max);
}

void upload_refuse(struct upload *upload, const struct error *err)
{
    if (!upload->request)
        return;
    if (err->kind == ERR_INVALID)
        request_failf(upload->request, API_BLOB_UPLOAD_INVALID, "%s", err->text);
    else
        request_fail_error(upload->request, err, API_BLOB_UPLOAD_UNKNOWN);
}

/* ---- REMOVING ---- */

static void run_remove(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    upload_file_remove(&upload->file, &upload->err);
}

static void on_removed(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind != ERR_NONE)
        log_upload(upload, LOG_WARN, upload->err.text);
    if (upload->refusal.kind != ERR_NONE)
        upload_refuse(upload, &upload->refusal);
    else if (upload->err.kind != ERR_NONE)
        upload_refuse(upload, &upload->err);
    else if (upload->request)
        upload_answer_cancelled(upload);
    upload_finish(upload);
}

void upload_remove(struct upload *upload, const struct error *refusal)
{
    if (refusal)
        upload->refusal = *refusal;
    upload_run(upload, UPLOAD_REMOVING, run_remove, on_removed);
}

/* ---- RELEASING: a PATCH is whole, or what came of a PATCH or PUT is kept ---- */

static void run_release(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    struct error ignored;

    /* The bytes would only keep the disk full for everybody else. */
    if (upload_body_write_rest(&upload->body, &upload->err) == -ERR_NO_SPACE)
        upload_file_remove(&upload->file, &ignored);
    else
        upload_file_release(&upload->file);
}

static void on_released(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind != ERR_NONE)
        upload_refuse(upload, &upload->err);
    else if (upload->request)
        upload_answer_progress(upload, 202);
    upload_finish(upload);
}

/* ---- ASKED and RESTORING: the file is whole, the keeper decides ---- */

static void run_restore(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    upload_file_restore(&upload->file, &upload->err);
}

static void on_restored(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind == ERR_NONE) {
        upload_file_release(&upload->file);
    } else {
        log_upload(upload, LOG_WARN, upload->err.text);
        upload_file_forget(&upload->file);
    }
    upload_refuse(upload, &upload->refusal);
    upload_finish(upload);
}

static void on_stored(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct upload *upload = LIST_ITEM(call, struct upload, call);

    if (answer->is_done) {
        upload_file_forget(&upload->file);
        if (upload->request)
            upload_answer_stored(upload);
        upload_finish(upload);
        return;
    }
    keeper_answer_error(answer, &upload->refusal);
    if (upload->aim == AIM_WHOLE || upload->refusal.kind == ERR_NO_SPACE)
        upload_remove(upload, &upload->refusal);
    else
        upload_run(upload, UPLOAD_RESTORING, run_restore, on_restored);
}

static void ask_to_store(struct upload *upload)
{
    upload->call.type = MESSAGE_BLOB_STORED;
    upload->call.message.blob_stored = (struct message_blob_stored){
        .place = PLACE_UPLOADS,
        .file = slice_of(upload->file.whole_name),
        .inode = upload->file.inode,
        .digest = upload->digest,
        .size = upload->file.progress.offset,
        .repository = slice_of(upload->repository),
    };
    upload_ask(upload, UPLOAD_ASKED, on_stored);
}

/* ---- CLOSING: the body of a PUT or POST is whole ---- */

static void run_close(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload_body_write_rest(&upload->body, &upload->err) == 0)
        upload_file_finish(&upload->file, &upload->digest, &upload->err);
}

/* Bytes that could not be written may come again to the session, unless the disk is full; all other
 * errors end it. */
static void on_closed(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind == ERR_NONE) {
        upload_body_cleanup(&upload->body);
        ask_to_store(upload);
    } else if (upload->body.err.kind != ERR_NONE && upload->body.err.kind != ERR_NO_SPACE &&
               upload->aim != AIM_WHOLE) {
        upload_file_release(&upload->file);
        upload_refuse(upload, &upload->err);
        upload_finish(upload);
    } else {
        upload_remove(upload, &upload->err);
    }
}

/* ---- RECEIVING ---- */

static void end_early(struct upload *upload, const struct error *err)
{
    if (upload->aim == AIM_WHOLE || (err && err->kind == ERR_NO_SPACE))
        upload_remove(upload, err);
    else
        upload_run(upload, UPLOAD_RELEASING, run_release, on_released);
}

static void end_body(struct upload *upload)
{
    if (upload->aim == AIM_APPEND)
        upload_run(upload, UPLOAD_RELEASING, run_release, on_released);
    else
        upload_run(upload, UPLOAD_CLOSING, run_close, on_closed);
}

static void on_block(struct upload_body *body, const struct error *err)
{
    struct upload *upload = LIST_ITEM(body, struct upload, body);

    if (upload->state != UPLOAD_RECEIVING)
        return;
    if (err->kind != ERR_NONE)
        end_early(upload, err);
    else
        upload_body_read(body, upload->request);
}

static void on_body(struct request *request, size_t length, bool is_end)
{
    struct upload *upload = request->step;
    struct upload_body *body = &upload->body;

    metrics_add(METRIC_client_bytes_received, length);
    if (upload->state != UPLOAD_RECEIVING)
        return;
    upload_body_filled(body, length);
    if (body->received > upload->body_max) {
        struct error err;

        (void)upload_refuse_size(request->config, &err);
        upload_remove(upload, &err);
    } else if (is_end) {
        end_body(upload);
    } else {
        upload_body_pass_on(body);
        upload_body_read(body, request);
    }
}

static void on_gone(struct request *request)
{
    struct upload *upload = request->step;

    upload->request = NULL;
    if (upload->state == UPLOAD_RECEIVING)
        end_early(upload, NULL);
    else if (upload->state == UPLOAD_DONE)
        upload_free(upload);
}

static const struct request_steps upload_steps = {.on_body = on_body, .on_gone = on_gone};

struct upload *upload_new(struct request *request, const struct upload_id *id, enum upload_aim aim)
{
    struct upload *upload = NEW(struct upload);
    struct worker *worker = request->worker;
    struct slice name = request->target.name;

    upload->worker = worker;
    upload->request = request;
    upload->aim = aim;
    CHECK(name.length < sizeof(upload->repository));
    memcpy(upload->repository, name.data, name.length);
    upload_file_init(&upload->file, worker->options.store, worker->options.uploads, id, name);
    upload_body_init(&upload->body, worker, &upload->file, on_block);
    request_set_actor(request, &upload->call);
    request_set_step(request, &upload_steps, upload);
    return upload;
}

void upload_receive(struct upload *upload)
{
    uint64_t max = upload->request->config->storage.blob_max;
    uint64_t offset = upload->file.progress.offset;

    upload->body_max = offset < max ? max - offset : 0;
    upload_set_state(upload, UPLOAD_RECEIVING);
    upload_body_read(&upload->body, upload->request);
}
