/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens behind a session's open file: PATCH and PUT receive, GET tells, DELETE ends.
 * A session is given back before its request is answered: the client's next may come to another
 * worker at once.
 */
#include "upload.h"

#include <stdio.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "oci/byte_range.h"
#include "upload_answer.h"
#include "upload_body.h"
#include "upload_session.h"

static void give_back(struct upload *upload)
{
    upload_save(upload);
    fd_close(&upload->fd);
}

/* ---- the end of a body ---- */

static void refuse(struct upload *upload, const struct api_error *error)
{
    upload->is_answered = true;
    if (upload->request)
        request_fail(upload->request, error);
}

static void refuse_error(struct upload *upload, const struct error *err)
{
    struct api_error error;
    if (err->kind == ERR_DIGEST_MISMATCH) {
        api_error_set(&error, API_DIGEST_INVALID, "%s", err->text);
    } else if (err->kind == ERR_TOO_LARGE) {
        api_error_set_status(&error, API_SIZE_INVALID, 413, "%s", err->text);
    } else if (err->kind == ERR_INVALID) {
        api_error_set(&error, API_BLOB_UPLOAD_INVALID, "%s", err->text);
    } else {
        api_error_from(&error, err, API_BLOB_UPLOAD_UNKNOWN);
    }
    refuse(upload, &error);
}

static void log_lost(const struct upload *upload)
{
    struct log_line line;
    log_begin(&line, LOG_WARN);
    if (upload->request)
        log_u64(&line, "req", upload->request->id);
    log_text(&line, "repo", upload->repository);
    log_text(&line, "file", upload->name);
    log_end(&line, "an upload that the keeper refused is lost: %s", upload->err.text);
}

/* The name is gone when the keeper had placed the file, and only its answer was lost. */
static void on_restored(struct upload *upload)
{
    if (upload->err.kind == ERR_NONE) {
        give_back(upload);
    } else {
        log_lost(upload);
        upload_table_remove(upload->worker->options.uploads, &upload->id);
        fd_close(&upload->fd);
    }
    refuse_error(upload, &upload->refusal);
    upload_let_go(upload);
}

static void on_stored(struct keep_ask *ask, const struct keep_answer *answer)
{
    struct upload *upload = LIST_ITEM(ask, struct upload, ask);
    upload->jobs--;
    if (!answer->is_done) {
        keep_answer_error(answer, &upload->refusal);
        upload_restore(upload, on_restored);
        return;
    }
    upload_table_remove(upload->worker->options.uploads, &upload->id);
    fd_close(&upload->fd);
    upload->is_left = false;
    upload->is_answered = true;
    if (upload->request)
        upload_answer_stored(upload);
    upload_let_go(upload);
}

static void store(struct upload *upload)
{
    upload->ask.type = MESSAGE_BLOB_STORED;
    upload->ask.on_answer = on_stored;
    upload->ask.message.blob_stored = (struct message_blob_stored){
        .place = PLACE_UPLOADS,
        .file = slice_of(upload->final_name),
        .inode = upload->inode,
        .digest = upload->digest,
        .size = upload->progress.offset,
        .repository = slice_of(upload->repository),
    };
    upload->jobs++;
    keep_link_ask(upload->worker->keeper, &upload->ask);
}

/* The client may ask for the session as soon as it is told. */
static void on_ended(struct upload *upload)
{
    refuse_error(upload, &upload->refusal);
    upload_let_go(upload);
}

static void on_receive_failed(struct upload *upload)
{
    struct error err = upload->err;
    if (upload->jobs == 0) {
        give_back(upload);
    } else {
        upload_save(upload); /* the file is closed behind its last job */
    }
    refuse_error(upload, &err);
    upload_let_go(upload);
}

void upload_on_lost(struct upload *upload)
{
    upload->refusal = upload->err;
    upload->is_answered = true; /* as good as */
    upload_remove(upload, on_ended);
}

void upload_on_received(struct upload *upload)
{
    if (upload->err.kind != ERR_NONE) {
        on_receive_failed(upload);
    } else if (upload->has_digest) {
        store(upload);
    } else {
        give_back(upload);
        upload->is_answered = true;
        if (upload->request)
            upload_answer_progress(upload, 202);
        upload_let_go(upload);
    }
}

/* ---- PATCH, PUT, GET, DELETE of a session ---- */

static void refuse_open(struct upload *upload)
{
    struct api_error error;
    if (upload->err.kind == ERR_BUSY) {
        upload->is_answered = true;
        upload_answer_busy(upload);
        return;
    }
    if (upload->err.kind == ERR_NOT_FOUND) {
        api_error_set(&error, API_BLOB_UPLOAD_UNKNOWN,
                      "there is no such upload in this repository (it may have ended)");
    } else {
        api_error_from(&error, &upload->err, API_BLOB_UPLOAD_UNKNOWN);
    }
    refuse(upload, &error);
}

/* False: answered. */
static bool open_went_well(struct upload *upload)
{
    if (upload->err.kind == ERR_NONE && upload->request)
        return true;
    if (upload->err.kind == ERR_NONE)
        upload_save(upload); /* the hash of what is there need not be made again */
    fd_close(&upload->fd);
    if (upload->request)
        refuse_open(upload);
    upload_let_go(upload);
    return false;
}

static void refuse_piece(struct upload *upload, const struct api_error *error)
{
    give_back(upload);
    refuse(upload, error);
}

static bool check_content_range(struct upload *upload)
{
    const struct http_head *head = upload->request->head;
    const struct slice *header = http_head_find(head, "Content-Range");
    struct byte_range range;
    struct error err;
    struct api_error error;
    if (!header)
        return true;
    if (http_head_count(head, "Content-Range") > 1) {
        api_error_set(&error, API_BLOB_UPLOAD_INVALID, "there is more than one Content-Range");
        refuse_piece(upload, &error);
        return false;
    }
    int rc = content_range_parse_upload(*header, &range, &err);
    if (rc == -ERR_INVALID) {
        api_error_set(&error, API_BLOB_UPLOAD_INVALID, "%s", err.text);
        refuse_piece(upload, &error);
    } else if (rc != 0 || range.first != upload->progress.offset) {
        give_back(upload);
        upload->is_answered = true;
        upload_answer_progress(upload, 416);
    } else if (head->body == HTTP_BODY_LENGTH &&
               head->content_length != range.last - range.first + 1) {
        api_error_set(&error, API_SIZE_INVALID,
                      "Content-Range and Content-Length say different lengths");
        refuse_piece(upload, &error);
    } else {
        return true;
    }
    return false;
}

static bool check_size(struct upload *upload)
{
    const struct http_head *head = upload->request->head;
    uint64_t max = upload->request->config->storage.blob_max;
    if (head->body != HTTP_BODY_LENGTH ||
        (upload->progress.offset <= max && head->content_length <= max - upload->progress.offset))
        return true;
    struct api_error error;
    api_error_set_status(&error, API_SIZE_INVALID, 413,
                         "a blob may not be larger than %llu bytes (`storage.blob_max`)",
                         (unsigned long long)max);
    refuse_piece(upload, &error);
    return false;
}

static void on_open_to_write(struct upload *upload)
{
    if (open_went_well(upload) && check_content_range(upload) && check_size(upload))
        upload_receive(upload);
}

static void on_look(struct upload *upload)
{
    fd_close(&upload->fd);
    upload->is_answered = true;
    if (upload->request && upload->err.kind != ERR_NONE) {
        refuse_open(upload);
    } else if (upload->request) {
        upload_answer_progress(upload, 204);
    }
    upload_let_go(upload);
}

static void on_cancelled(struct upload *upload)
{
    struct error err = upload->err;
    upload->is_answered = true;
    if (upload->request && err.kind == ERR_NONE) {
        upload_answer_cancelled(upload);
    } else if (upload->request) {
        refuse_error(upload, &err);
    }
    upload_let_go(upload);
}

static void on_open_to_remove(struct upload *upload)
{
    if (open_went_well(upload))
        upload_remove(upload, on_cancelled);
}

void upload_continue(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    const struct operation *operation = &request->operation;
    struct upload_id id;
    if (!upload_id_parse(operation->upload_id, &id)) {
        request_failf(request, API_BLOB_UPLOAD_UNKNOWN, "there is no such upload");
        return;
    }
    if (operation->method == METHOD_PUT && !operation->has_digest) {
        request_failf(request, API_DIGEST_INVALID,
                      "the digest is missing: PUT …/uploads/ID?digest=sha256:…");
        return;
    }
    if (operation->method == METHOD_PATCH && request->head->body == HTTP_BODY_NONE) {
        struct api_error error;
        api_error_set_status(&error, API_SIZE_INVALID, 411,
                             "a PATCH needs Content-Length or Transfer-Encoding: chunked");
        request_fail(request, &error);
        return;
    }
    struct upload *upload = upload_new(request, &id);
    upload->has_digest = operation->method == METHOD_PUT;
    upload->digest = operation->digest_query;
    if (operation->method == METHOD_GET || operation->method == METHOD_HEAD) {
        upload_look(upload, on_look);
    } else if (operation->method == METHOD_DELETE) {
        upload_open(upload, on_open_to_remove);
    } else {
        upload_open(upload, on_open_to_write);
    }
}
