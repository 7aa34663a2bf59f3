/* SPDX-License-Identifier: Apache-2.0 */
/* A stored file is opened before anything is answered, so that a missing or damaged one can still
 * be fetched again. */
#include "serve.h"

#include <stdio.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "condition.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "oci/api_error.h"
#include "oci/byte_range.h"
#include "recency.h"
#include "request.h"
#include "rules/visible.h"
#include "store/store.h"
#include "worker_state.h"

#define WARNING_TEXT_MAX 200

bool serve_may_ask_namesake(const struct request *request, struct ledger_txn *txn,
                            struct resolved *namesake, struct permit *out)
{
    const struct resolved *target = &request->target;
    struct api_error ignored;

    return target->is_bare && !request_is_head(request) &&
           resolve_cached_namesake(request->config, txn, target->name, namesake) &&
           authorize_other(&request->permit, namesake, ACTION_PULL, out, &ignored) == 0;
}

/* ---- blobs ---- */

/* The Range that is to be heeded; NULL: none. */
static const struct slice *wanted_range(const struct request *request, const struct digest *digest)
{
    const struct slice *range = http_head_find(request->head, "Range");
    const struct slice *condition = http_head_find(request->head, "If-Range");
    char text[DIGEST_TEXT_SIZE + 2];

    if (!range || request_is_head(request))
        return NULL;
    if (!condition)
        return range;
    text[0] = '"';
    digest_print(digest, text + 1);
    struct slice etag = slice_of(text);
    bool is_met = condition->length == etag.length + 1 && slice_starts_with(*condition, text) &&
                  condition->data[etag.length] == '"';
    return is_met ? range : NULL;
}

bool serve_may_range(struct request *request, const struct digest *digest)
{
    const struct slice *range = wanted_range(request, digest);
    size_t max = request->config->limits.ranges;
    struct api_error error;

    if (!range || condition_has_it(request, digest))
        return true;
    size_t count = byte_range_count(*range);
    if (count <= max)
        return true;
    api_error_set_status(&error, API_RANGE_INVALID, 400,
                         "Range asks for %zu ranges, and this registry serves up to %zu at once; "
                         "ask for them in several requests",
                         count, max);
    request_fail(request, &error);
    return false;
}

void serve_plan_blob(const struct request *request, const struct digest *digest, uint64_t size,
                     struct serve_plan *out)
{
    const struct slice *range = wanted_range(request, digest);
    struct byte_range *ranges = NULL;
    unsigned count = 0;

    out->status = 200;
    blob_parts_whole(&out->parts, size);
    if (condition_has_it(request, digest)) {
        out->status = 304;
        return;
    }
    if (!range)
        return;
    enum byte_range_verdict verdict = byte_range_resolve(*range, size, &ranges, &count);
    if (verdict == RANGE_UNSATISFIABLE) {
        out->status = 416;
    } else if (verdict == RANGE_SATISFIABLE) {
        out->status = 206;
        blob_parts_ranges(&out->parts, size, &ranges, count);
    }
}

bool serve_plan_has_body(const struct serve_plan *plan)
{
    return plan->status == 200 || plan->status == 206;
}

static void blob_headers_of_type(const struct request *request, const struct digest *digest,
                                 struct slice type, struct headers *headers)
{
    request_headers(request, headers);
    headers_add(headers, "Content-Type", type);
    headers_add(headers, "Accept-Ranges", SLICE_LITERAL("bytes"));
    headers_add_digest(headers, digest);
}

static void blob_headers(const struct request *request, const struct digest *digest,
                         struct headers *headers)
{
    blob_headers_of_type(request, digest, SLICE_LITERAL("application/octet-stream"), headers);
}

static void refuse_range(struct request *request, uint64_t size)
{
    struct headers headers;
    struct api_error error;

    request_headers(request, &headers);
    headers_addf(&headers, "Content-Range", "bytes */%llu", (unsigned long long)size);
    api_error_set(&error, API_RANGE_INVALID, "the range is outside the blob");
    request_fail_with(request, &error, &headers);
}

void serve_blob_head(struct request *request, const struct digest *digest, uint64_t size,
                     const struct serve_plan *plan)
{
    struct headers headers;

    if (plan->status == 416) {
        refuse_range(request, size);
        return;
    }
    if (plan->parts.is_multipart) {
        char type[64];

        (void)snprintf(type, sizeof(type), "multipart/byteranges; boundary=%s",
                       plan->parts.boundary);
        blob_headers_of_type(request, digest, slice_of(type), &headers);
    } else {
        blob_headers(request, digest, &headers);
    }
    if (plan->status == 304) {
        request->outcome = "not modified";
        request_respond_head(request, 304, &headers, 0);
        return;
    }
    if (plan->status == 206 && !plan->parts.is_multipart) {
        headers_addf(&headers, "Content-Range", "bytes %llu-%llu/%llu",
                     (unsigned long long)plan->parts.one.first,
                     (unsigned long long)plan->parts.one.last, (unsigned long long)size);
    }
    http_conn_drop_range(request->conn);
    request_begin(request, plan->status, &headers, blob_parts_length(&plan->parts));
}

void serve_piece(struct request *request, int fd, const struct blob_piece *piece)
{
    if (piece->text_length > 0)
        http_conn_send_bytes(request->conn, slice_from(piece->text, piece->text_length));
    if (piece->length > 0)
        http_conn_send_file(request->conn, fd, piece->first, piece->length);
}

void serve_blob_size(struct request *request, const struct digest *digest, uint64_t size)
{
    struct headers headers;

    blob_headers(request, digest, &headers);
    request_respond_head(request, 200, &headers, size);
}

enum opened {
    OPENED_FILE,    /* request->fd, or no file is needed */
    OPENED_NOTHING, /* missing or damaged: a miss */
    OPENED_FAILED,  /* the request was answered, or waits until the file was compared */
};

/* At most one line for each request, however often the file is tried. */
static void log_damage(struct request *request, const struct digest *digest,
                       const struct error *err)
{
    struct log_line line;
    char text[DIGEST_TEXT_SIZE];
    bool is_cached = request->target.upstream;
    bool is_damage = err->kind == ERR_NOT_FOUND || err->kind == ERR_CORRUPT;

    if (request->is_damage_told)
        return;
    request->is_damage_told = true;
    log_begin(&line, is_cached && is_damage ? LOG_WARN : LOG_ERROR);
    log_u64(&line, "req", request->id);
    log_slice(&line, "origin", request->target.origin);
    log_slice(&line, "repo", request->target.name);
    log_text(&line, "digest", digest_print(digest, text));
    if (!is_damage) {
        log_end(&line, "a stored file cannot be read now: %s", err->text);
    } else if (is_cached) {
        log_end(&line, "a stored file is damaged and is fetched again: %s", err->text);
    } else {
        log_end(&line, "a stored file is damaged, push the image again to repair it: %s",
                err->text);
    }
}

/* Is the file that was opened the blob? `trust` is what its record says of it. */
static enum opened judge_file(struct request *request, const struct digest *digest,
                              const struct store_blob *found, enum blob_trust trust,
                              bool is_compared_always)
{
    enum file_verdict verdict = trust == BLOB_DAMAGED ? FILE_WRONG : FILE_RIGHT;
    struct error err;

    if (trust == BLOB_CHANGED || (is_compared_always && verdict == FILE_RIGHT))
        verdict = file_check(request, digest, found, trust, is_compared_always);
    if (verdict == FILE_RIGHT)
        return OPENED_FILE;
    if (verdict != FILE_WRONG)
        return OPENED_FAILED;
    fd_close(&request->fd);
    (void)store_blob_refuse(request->worker->options.store, digest, &err);
    log_damage(request, digest, &err);
    return OPENED_NOTHING;
}

/* Only a missing or damaged file is a miss. Without descriptors, or on a failing disk, it is
 * not known whether the file is there: the answer is 503. */
static enum opened open_file(struct request *request, const struct digest *digest,
                             const struct blob_record *record, bool is_compared_always)
{
    struct store_blob found;
    struct error err;

    fd_close(&request->fd);
    if (store_blob_open(request->worker->options.store, digest, record->size, &request->fd, &found,
                        &err) == 0) {
        return judge_file(request, digest, &found, blob_trust(record, &found.identity),
                          is_compared_always);
    }
    log_damage(request, digest, &err);
    if (err.kind == ERR_NOT_FOUND || err.kind == ERR_CORRUPT)
        return OPENED_NOTHING;
    request_failf(request, API_UNAVAILABLE, "the stored file cannot be read now: %s", err.text);
    return OPENED_FAILED;
}

static void send_next(struct request *request, struct blob_parts *parts)
{
    struct blob_piece piece;

    if (blob_parts_next(parts, parts->size, parts->size, &piece))
        serve_piece(request, request->fd, &piece);
    else
        http_conn_end(request->conn);
}

static void on_part_sent(struct request *request)
{
    send_next(request, request->step);
}

static void on_parts_gone(struct request *request)
{
    struct blob_parts *parts = request->step;

    blob_parts_cleanup(parts);
    mem_free(parts);
}

static const struct request_steps part_steps = {.on_drained = on_part_sent,
                                                .on_gone = on_parts_gone};

/* An answer of one part needs no state: it ends when the part is sent. */
static void send_parts(struct request *request, struct blob_parts *parts)
{
    if (parts->is_multipart) {
        struct blob_parts *kept = NEW(struct blob_parts);

        *kept = *parts;
        parts->several = NULL;
        request_set_step(request, &part_steps, kept);
        parts = kept;
    }
    send_next(request, parts);
}

static void answer_plan(struct request *request, const struct digest *digest, uint64_t size,
                        struct serve_plan *plan)
{
    request->source = SOURCE_DISK;
    request->outcome = "served from the store";
    recency_note(request->worker->recency, digest);
    if (request_is_head(request) && plan->status == 200) {
        serve_blob_size(request, digest, size);
        return;
    }
    serve_blob_head(request, digest, size, plan);
    if (serve_plan_has_body(plan))
        send_parts(request, &plan->parts);
}

bool serve_blob(struct request *request, const struct digest *digest,
                const struct blob_record *record)
{
    struct serve_plan plan;

    serve_plan_blob(request, digest, record->size, &plan);
    /* HEAD and 304 open the file too: a client that hears from them that a blob is here does not
     * push it. */
    bool needs_file = plan.status != 416;
    enum opened opened = needs_file ? open_file(request, digest, record, false) : OPENED_FILE;
    if (opened == OPENED_FILE)
        answer_plan(request, digest, record->size, &plan);
    blob_parts_cleanup(&plan.parts);
    return opened != OPENED_NOTHING;
}

/* ---- manifests ---- */

void serve_mark_stale(struct headers *headers, const struct serve_age *age)
{
    char text[WARNING_TEXT_MAX];
    size_t length = 0;

    for (size_t i = 0; i < age->warning.length && length < sizeof(text); i++) {
        char byte = age->warning.data[i];
        bool is_plain = byte >= 0x20 && byte <= 0x7e && byte != '"' && byte != '\\';

        text[length++] = ' ';
        if (is_plain)
            text[length - 1] = byte;
    }
    headers_addf(headers, "Warning", "299 - \"%.*s\"", (int)length, text);
    uint64_t now = clock_wall().ms;
    if (age->checked_ms > 0 && now > age->checked_ms)
        headers_addf(headers, "Age", "%llu", (unsigned long long)((now - age->checked_ms) / 1000));
}

static void respond_manifest(struct request *request, const struct serve_body *body,
                             const struct headers *headers)
{
    if (request_is_head(request)) {
        request_respond_head(request, 200, headers, body->size);
    } else if (body->bytes.length > 0 || body->size == 0) {
        request_respond_shared(request, 200, headers, &body->digest, body->bytes);
    } else {
        request_begin(request, 200, headers, body->size);
        http_conn_send_file(request->conn, request->fd, 0, body->size);
    }
}

void serve_manifest(struct request *request, const struct serve_body *body,
                    const struct serve_age *age)
{
    if (!condition_may_read(request, &body->digest))
        return;
    bool has_it = condition_has_it(request, &body->digest);
    struct headers headers;
    request_headers(request, &headers);
    headers_add(&headers, "Content-Type", body->media_type);
    headers_add_digest(&headers, &body->digest);
    if (age && age->is_stale) {
        serve_mark_stale(&headers, age);
        metrics_add(METRIC_stale, 1);
    }
    if (request->source == SOURCE_NONE)
        request->source = SOURCE_DISK;
    if (!request->outcome)
        request->outcome = "served";
    if (request->source == SOURCE_DISK)
        recency_note(request->worker->recency, &body->digest);
    if (has_it)
        request_respond_head(request, 304, &headers, 0);
    else
        respond_manifest(request, body, &headers);
}

/* A manifest says what else is fetched, and is small: its file is compared each time. */
static enum opened open_manifest(struct request *request, struct ledger_txn *txn,
                                 const struct digest *digest)
{
    struct blob_record file;

    return visible_file(&request->permit, txn, digest, &file)
               ? open_file(request, digest, &file, true)
               : OPENED_NOTHING;
}

bool serve_find_manifest(struct request *request, struct ledger_txn *txn,
                         const struct digest *digest, const struct manifest_record *record,
                         bool *out_is_here)
{
    enum opened opened =
        record->bytes.length == 0 ? open_manifest(request, txn, digest) : OPENED_FILE;

    fd_close(&request->fd); /* it is opened again when it is served */
    *out_is_here = opened == OPENED_FILE;
    return opened != OPENED_FAILED;
}

bool serve_manifest_record(struct request *request, struct ledger_txn *txn,
                           const struct digest *digest, const struct manifest_record *record,
                           const struct serve_age *age)
{
    /* For HEAD too: a client that hears from it that a manifest is here does not push it. */
    enum opened opened =
        record->bytes.length == 0 ? open_manifest(request, txn, digest) : OPENED_FILE;

    if (opened != OPENED_FILE)
        return opened == OPENED_FAILED;
    struct serve_body body = {
        .digest = *digest,
        .media_type = record->media_type,
        .bytes = record->bytes,
        .size = record->size,
    };
    if (age && age->is_stale)
        request->outcome = "served stale";
    else
        request->outcome = "served from the store";
    serve_manifest(request, &body, age);
    return true;
}
