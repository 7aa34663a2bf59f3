/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET, PATCH, PUT and DELETE of a session: check the request, open the session (GET only measures
 * its file), compare the request with how far the session is, and hand on to upload_session.c.
 */
#include "answer.h"
#include "base/alloc.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "oci/byte_range.h"
#include "request.h"
#include "upload.h"
#include "upload_answer.h"
#include "upload_session.h"

/* ---- OPENING ---- */

static void run_open(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    upload_file_open(&upload->file, &upload->err);
}

static void refuse_open(struct upload *upload)
{
    if (!upload->request)
        return;
    if (upload->err.kind == ERR_BUSY) {
        upload_answer_busy(upload);
    } else if (upload->err.kind == ERR_NOT_FOUND) {
        request_failf(upload->request, API_BLOB_UPLOAD_UNKNOWN,
                      "there is no such upload in this repository (it may have ended)");
    } else {
        request_fail_error(upload->request, &upload->err, API_BLOB_UPLOAD_UNKNOWN);
    }
}

/* Refuses the request; the session stays as it was. */
static void refuse_piece(struct upload *upload, const struct api_error *error)
{
    upload_file_release(&upload->file);
    request_fail(upload->request, error);
    upload_finish(upload);
}

/* The same, and tells the client how far the session is. */
static void refuse_range(struct upload *upload)
{
    upload_file_release(&upload->file);
    upload_answer_progress(upload, 416);
    upload_finish(upload);
}

/* False: refused. */
static bool check_content_range(struct upload *upload)
{
    const struct http_head *head = upload->request->head;
    const struct slice *header = http_head_find(head, "Content-Range");
    struct byte_range range;
    struct error err;
    struct api_error error;
    int rc;

    if (!header)
        return true;
    if (http_head_count(head, "Content-Range") > 1) {
        api_error_set(&error, API_BLOB_UPLOAD_INVALID,
                      "there is more than one Content-Range; send one");
        refuse_piece(upload, &error);
        return false;
    }
    rc = content_range_parse_upload(*header, &range, &err);
    if (rc == -ERR_INVALID) {
        api_error_set(&error, API_BLOB_UPLOAD_INVALID, "%s", err.text);
        refuse_piece(upload, &error);
    } else if (rc != 0 || range.first != upload->file.progress.offset) {
        refuse_range(upload);
    } else if (head->body == HTTP_BODY_LENGTH &&
               head->content_length != range.last - range.first + 1 &&
               head->content_length != range.last - range.first) { /* the end is exclusive */
        api_error_set(&error, API_SIZE_INVALID,
                      "Content-Range and Content-Length say different lengths");
        refuse_piece(upload, &error);
    } else {
        return true;
    }
    return false;
}

/* False: refused. */
static bool check_size(struct upload *upload)
{
    const struct http_head *head = upload->request->head;
    uint64_t max = upload->request->config->storage.blob_max;
    uint64_t offset = upload->file.progress.offset;
    struct api_error error;
    struct error err;

    if (head->body != HTTP_BODY_LENGTH || (offset <= max && head->content_length <= max - offset))
        return true;
    (void)upload_refuse_size(upload->request->config, &err);
    (void)api_error_from(&error, &err, API_BLOB_UPLOAD_UNKNOWN);
    refuse_piece(upload, &error);
    return false;
}

static void on_opened(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind != ERR_NONE) {
        refuse_open(upload);
        upload_finish(upload);
    } else if (!upload->request) {
        upload_file_release(&upload->file); /* saves what was hashed */
        upload_finish(upload);
    } else if (upload->aim == AIM_CANCEL) {
        upload_remove(upload, NULL);
    } else if (check_content_range(upload) && check_size(upload)) {
        upload_receive(upload);
    }
}

/* ---- LOOKING ---- */

/* The file is never shorter than what was answered. It may be longer, and then the next request
 * continues at its end. */
static void run_look(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    upload_file_measure(&upload->file, &upload->err);
}

static void on_looked(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);

    if (upload->err.kind != ERR_NONE)
        refuse_open(upload);
    else if (upload->request)
        upload_answer_progress(upload, 204);
    upload_finish(upload);
}

/* ---- the request ---- */

/* False: refused. */
static bool check_request(struct request *request, struct upload_id *out_id)
{
    const struct operation *operation = &request->operation;
    struct api_error error;

    if (!upload_id_parse(operation->upload_id, out_id)) {
        request_failf(request, API_BLOB_UPLOAD_UNKNOWN, "there is no such upload");
        return false;
    }
    if (operation->method == METHOD_PUT && !operation->has_digest) {
        request_failf(request, API_DIGEST_INVALID,
                      "the digest is missing: PUT …/uploads/ID?digest=sha256:…");
        return false;
    }
    if (operation->method == METHOD_PATCH && request->head->body == HTTP_BODY_NONE) {
        api_error_set_status(&error, API_SIZE_INVALID, 411,
                             "a PATCH needs Content-Length or Transfer-Encoding: chunked");
        request_fail(request, &error);
        return false;
    }
    return true;
}

static enum upload_aim aim_of(const struct operation *operation)
{
    if (operation->method == METHOD_PATCH)
        return AIM_APPEND;
    if (operation->method == METHOD_PUT)
        return AIM_FINISH;
    return operation->method == METHOD_DELETE ? AIM_CANCEL : AIM_LOOK;
}

void upload_continue(struct request *request, struct ledger_txn *txn)
{
    struct upload_id id;
    struct upload *upload;

    (void)txn;
    if (!check_request(request, &id))
        return;
    upload = upload_new(request, &id, aim_of(&request->operation));
    upload->digest = request->operation.digest_query;
    if (upload->aim == AIM_LOOK)
        upload_run(upload, UPLOAD_LOOKING, run_look, on_looked);
    else
        upload_run(upload, UPLOAD_OPENING, run_open, on_opened);
}
