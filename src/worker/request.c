/* SPDX-License-Identifier: Apache-2.0 */
/* A request's life and its answers. Invariant: one answer each, one line in the access log. */
#include "request.h"

#include <stdio.h>
#include <string.h>

#include "answer_body.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "dispatch.h"
#include "ipc/metrics.h"
#include "oci/api_error.h"
#include "store/ledger.h"
#include "worker_state.h"

#define RETRY_AFTER_DEFAULT 5
#define PIECE_SIZE          ((size_t)64 * 1024)

/* ---- life ---- */

void request_set_step(struct request *request, const struct request_steps *steps, void *step)
{
    request->steps = steps;
    request->step = step;
}

static void on_request(struct http_conn *conn, const struct http_head *head, void *arg)
{
    struct front *front = arg;
    struct request *request = NEW(struct request);
    request->worker = front->worker;
    request->conn = conn;
    request->head = head;
    request->listener = front->kind;
    request->id = ++front->worker->requests;
    request->began_us = clock_mono_us();
    request->fd = -1;
    front->worker->running++;
    metrics_set(METRIC_requests_running, front->worker->running);
    http_conn_set_user(conn, request);
    dispatch(request);
}

static void on_body(struct http_conn *conn, size_t length, bool is_end)
{
    struct request *request = http_conn_user(conn);
    if (request->steps && request->steps->on_body)
        request->steps->on_body(request, length, is_end);
}

static void on_drained(struct http_conn *conn)
{
    struct request *request = http_conn_user(conn);
    if (request->steps && request->steps->on_drained) {
        request->steps->on_drained(request);
    } else {
        http_conn_end(conn);
    }
}

static bool is_pull(const struct request *request)
{
    const struct operation *operation = &request->operation;
    return request->listener != LISTENER_ADMIN &&
           (operation->kind == OPERATION_MANIFEST || operation->kind == OPERATION_BLOB) &&
           (operation->method == METHOD_GET || operation->method == METHOD_HEAD);
}

static void count(const struct request *request, uint64_t sent)
{
    metrics_add(METRIC_requests, 1);
    if (request->status >= 500)
        metrics_add(METRIC_requests_failed, 1);
    if (!is_pull(request))
        return;
    if (request->is_asked) {
        metrics_add(METRIC_misses, 1);
    } else if (request->source == SOURCE_DISK) {
        metrics_add(METRIC_hits, 1);
    }
    if (request->is_joined)
        metrics_add(METRIC_coalesced, 1);
    if (sent > 0)
        metrics_add(METRIC_client_bytes_sent, sent);
}

static const char *source_name(enum request_source source)
{
    switch (source) {
    case SOURCE_NONE:
        return "none";
    case SOURCE_DISK:
        return "disk";
    case SOURCE_FLIGHT:
        return "flight";
    case SOURCE_UPSTREAM:
        return "upstream";
    }
    UNREACHABLE();
}

static void log_reference(struct log_line *line, const struct operation *operation)
{
    char text[DIGEST_TEXT_SIZE];
    if (operation->tag.length > 0) {
        log_slice(line, "ref", operation->tag);
    } else if (operation->digest.algorithm != 0) {
        log_text(line, "ref", digest_print(&operation->digest, text));
    } else if (operation->upload_id.length > 0) {
        log_slice(line, "ref", operation->upload_id);
    }
}

static const char *outcome(const struct request *request, enum http_end end)
{
    if (request->note)
        return request->note;
    if (end == HTTP_END_REFUSED)
        return "refused while its body came";
    if (end == HTTP_END_GONE)
        return "the client went away";
    if (request->outcome)
        return request->outcome;
    return end == HTTP_END_ABORTED ? "aborted" : "answered";
}

static void log_access(const struct request *request, enum http_end end, uint64_t sent)
{
    if (!request->worker->options.config->log.access || !log_is_on(LOG_INFO))
        return;
    struct log_line line;
    log_begin(&line, LOG_INFO);
    log_text(&line, "log", "access");
    log_u64(&line, "conn", http_conn_id(request->conn));
    log_u64(&line, "req", request->id);
    log_text(&line, "client", http_conn_peer(request->conn));
    log_slice(&line, "method", request->head->method);
    if (request->is_parsed) {
        log_text(&line, "op", operation_label(&request->operation));
        if (request->target.name.length > 0) {
            log_slice(&line, "origin", request->target.origin);
            log_slice(&line, "repo", request->target.name);
        }
        log_reference(&line, &request->operation);
    } else {
        log_slice(&line, "target", request->head->target);
    }
    log_u64(&line, "status", (uint64_t)request->status);
    log_u64(&line, "bytes", sent);
    log_printf(&line, "ms", "%.1f", (double)(clock_mono_us() - request->began_us) / 1000.0);
    log_text(&line, "source", source_name(request->source));
    if (request->is_joined)
        log_u64(&line, "joined", 1);
    log_end(&line, "%s", outcome(request, end));
}

static void on_done(struct http_conn *conn, enum http_end end)
{
    struct request *request = http_conn_user(conn);
    uint64_t sent = http_conn_sent(conn);
    const struct request_steps *steps = request->steps;
    if (steps && steps->on_gone)
        steps->on_gone(request);
    count(request, sent);
    log_access(request, end, sent);
    request->worker->running--;
    metrics_set(METRIC_requests_running, request->worker->running);
    operation_cleanup(&request->operation);
    fd_close(&request->fd);
    mem_free(request->note);
    mem_free(request);
}

static void on_refused(const struct http_refusal *refusal, const char *peer, void *arg)
{
    const struct front *front = arg;
    metrics_add(METRIC_requests_refused, 1);
    if (!front->worker->options.config->log.access)
        return;
    struct log_line line;
    log_begin(&line, LOG_INFO);
    log_text(&line, "log", "access");
    log_text(&line, "client", peer);
    log_u64(&line, "status", (uint64_t)refusal->status);
    log_end(&line, "%s", refusal->reason);
}

const struct http_handler request_handler = {
    .on_request = on_request,
    .on_body = on_body,
    .on_drained = on_drained,
    .on_done = on_done,
    .on_refused = on_refused,
};

/* ---- answers ---- */

void request_headers(const struct request *request, struct headers *headers)
{
    headers_init(headers);
    if (request->operation.has_ns) {
        headers_add(headers, "OCI-Namespace", request->operation.ns);
    } else if (request->target.upstream) {
        headers_add(headers, "OCI-Namespace", request->target.origin);
    }
}

bool request_is_head(const struct request *request)
{
    return slice_is(request->head->method, "HEAD");
}

void request_respond(struct request *request, int status, const struct headers *headers,
                     struct slice body)
{
    struct http_response response = {
        .status = status,
        .headers = headers_slice(headers),
        .content_length = body.length,
        .is_head = request_is_head(request),
    };
    CHECK(request->status == 0);
    request->status = status;
    http_conn_respond(request->conn, &response, response.is_head ? slice_of("") : body);
}

void request_respond_head(struct request *request, int status, const struct headers *headers,
                          uint64_t length)
{
    struct http_response response = {
        .status = status,
        .headers = headers_slice(headers),
        .content_length = length,
        .is_head = true,
    };
    CHECK(request->status == 0);
    request->status = status;
    http_conn_respond(request->conn, &response, slice_of(""));
}

void request_begin(struct request *request, int status, const struct headers *headers,
                   uint64_t length)
{
    struct http_response response = {
        .status = status,
        .headers = headers_slice(headers),
        .content_length = length,
    };
    CHECK(request->status == 0);
    request->status = status;
    http_conn_begin(request->conn, &response);
}

/* The body of an answer, and how much of it was queued. */
struct pieces {
    struct answer_body *body;
    size_t sent;
};

static void send_piece(struct request *request)
{
    struct pieces *pieces = request->step;
    struct slice rest = slice_skip(answer_body_bytes(pieces->body), pieces->sent);
    if (rest.length == 0) {
        http_conn_end(request->conn);
        return;
    }
    if (rest.length > PIECE_SIZE)
        rest.length = PIECE_SIZE;
    pieces->sent += rest.length;
    http_conn_send_bytes(request->conn, rest);
}

static void free_pieces(struct request *request)
{
    struct pieces *pieces = request->step;
    answer_body_unref(&pieces->body);
    mem_free(pieces);
}

static const struct request_steps piece_steps = {.on_drained = send_piece, .on_gone = free_pieces};

/* NULL: there was no room for it. */
static void respond_body(struct request *request, int status, const struct headers *headers,
                         struct answer_body *body)
{
    if (!body) {
        request_failf(request, API_UNAVAILABLE,
                      "too many large answers are on their way; ask again, or for pages (n=)");
        return;
    }
    struct pieces *pieces = NEW(struct pieces);
    pieces->body = body;
    request_set_step(request, &piece_steps, pieces);
    request_begin(request, status, headers, answer_body_bytes(body).length);
    send_piece(request);
}

void request_respond_buf(struct request *request, int status, const struct headers *headers,
                         struct buf *body)
{
    struct slice bytes = buf_bytes(body);
    if (bytes.length <= ANSWER_BODY_FREE || request_is_head(request)) {
        request_respond(request, status, headers, bytes);
    } else {
        respond_body(request, status, headers, answer_body_take(request->worker->answers, body));
    }
}

void request_respond_shared(struct request *request, int status, const struct headers *headers,
                            const struct digest *digest, struct slice bytes)
{
    if (bytes.length <= ANSWER_BODY_FREE || request_is_head(request)) {
        request_respond(request, status, headers, bytes);
    } else {
        respond_body(request, status, headers,
                     answer_body_share(request->worker->answers, digest, bytes));
    }
}

/* For the Allow header: what is an upstream's can be read alone, and has no uploads; a DELETE that
 * is not allowed is not in it. */
static const char *allowed(const struct request *request)
{
    enum operation_kind kind = request->operation.kind;
    if (request->listener != LISTENER_MIRROR && !request->target.upstream) {
        if (request->operation.method != METHOD_DELETE)
            return operation_allowed(kind);
        if (kind == OPERATION_MANIFEST)
            return "GET, HEAD, PUT";
        return kind == OPERATION_BLOB ? "GET, HEAD" : operation_allowed(kind);
    }
    return kind == OPERATION_UPLOAD_START || kind == OPERATION_UPLOAD ? "" : "GET, HEAD";
}

static void respond_error(struct request *request, const struct api_error *error, uint64_t retry)
{
    AUTO_BUF struct buf body;
    buf_init(&body, 16384);
    struct headers headers;
    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("application/json"));
    if (error->status == 405)
        headers_add(&headers, "Allow", slice_of(allowed(request)));
    if (retry > 0)
        headers_addf(&headers, "Retry-After", "%llu", (unsigned long long)retry);
    api_error_print(&body, error);
    if (!request->note)
        request->note = mem_strdup(error->text);
    request_respond(request, error->status, &headers, buf_bytes(&body));
}

void request_fail_retry(struct request *request, const struct api_error *error, uint64_t seconds)
{
    respond_error(request, error, seconds == 0 ? RETRY_AFTER_DEFAULT : seconds);
}

void request_fail(struct request *request, const struct api_error *error)
{
    bool may_retry = error->status == 429 || error->status == 503;
    respond_error(request, error, may_retry ? RETRY_AFTER_DEFAULT : 0);
}

void request_failf(struct request *request, enum api_code code, const char *fmt, ...)
{
    struct api_error error;
    char text[sizeof(error.text)];
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    api_error_set(&error, code, "%s", length < 0 ? "" : text);
    request_fail(request, &error);
}

void request_fail_error(struct request *request, const struct error *err, enum api_code not_found)
{
    struct api_error error;
    api_error_from(&error, err, not_found);
    request_fail(request, &error);
}

static const char *unknown_text(enum api_code code)
{
    if (code == API_BLOB_UNKNOWN)
        return "this repository has no such blob";
    if (code == API_MANIFEST_UNKNOWN)
        return "this repository has no such manifest or tag";
    if (code == API_NAME_UNKNOWN)
        return "there is no such repository";
    return "not found";
}

void request_fail_unknown(struct request *request, struct ledger_txn *txn, enum api_code code)
{
    struct api_error error;
    const struct error *broken = ledger_error(txn);
    if (broken) {
        api_error_set(&error, API_UNAVAILABLE, "the ledger cannot be read: %s", broken->text);
    } else {
        api_error_set(&error, code, "%s", unknown_text(code));
    }
    request_fail(request, &error);
}

void request_abort(struct request *request, const char *why)
{
    if (!request->note)
        request->note = mem_strdup(why);
    http_conn_abort(request->conn);
}

/* ---- questions ---- */

void request_actor(const struct request *request, char out[REQUEST_ACTOR_SIZE])
{
    int length = snprintf(out, REQUEST_ACTOR_SIZE, "anonymous %s %llu",
                          http_conn_peer(request->conn), (unsigned long long)request->id);
    CHECK(length > 0);
}
