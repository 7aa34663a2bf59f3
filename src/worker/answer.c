/* SPDX-License-Identifier: Apache-2.0 */
/* Every answer goes through request_respond, request_respond_head or request_begin: they check that
 * it is the only one. */
#include "answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "answer_body.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "endpoint.h"
#include "oci/api_error.h"
#include "request.h"
#include "store/ledger.h"
#include "store/store.h"
#include "worker_state.h"

#define RETRY_AFTER_DEFAULT 5
#define CHALLENGE_MAX       ((size_t)2048)
#define ERROR_BODY_MAX      ((size_t)16 * 1024)
#define PIECE_SIZE          ((size_t)64 * 1024)

void request_headers(const struct request *request, struct headers *headers)
{
    headers_init(headers);
    if (request->operation.has_ns)
        headers_add(headers, "OCI-Namespace", request->operation.ns);
    else if (request->target.truth == TRUTH_UPSTREAM)
        headers_add(headers, "OCI-Namespace", request->target.origin);
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

/* The body of an answer, and how much of it was sent. */
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

/* `body` is NULL when there was no room for it. */
static void respond_body(struct request *request, int status, const struct headers *headers,
                         struct answer_body *body)
{
    if (!body) {
        request_failf(request, API_UNAVAILABLE,
                      "too many large answers are being sent; try again, or ask for pages (n=)");
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

    if (bytes.length <= ANSWER_BODY_FREE || request_is_head(request))
        request_respond(request, status, headers, bytes);
    else
        respond_body(request, status, headers, answer_body_take(request->worker->answers, body));
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

/* A repository of an upstream is read-only, and a method that was just refused is not allowed. */
static void add_allow(const struct request *request, struct headers *headers)
{
    bool is_read_only =
        request->listener == LISTENER_MIRROR || request->target.truth == TRUTH_UPSTREAM;
    AUTO_BUF struct buf methods;

    buf_init(&methods, ALLOW_MAX);
    endpoint_print_methods(&request->worker->endpoints, &request->address, is_read_only,
                           request->operation.method, &methods);
    headers_add(headers, "Allow", buf_bytes(&methods));
}

static void add_challenge(const struct request *request, struct headers *headers)
{
    const struct authenticator *authenticator = &request->worker->options.authenticator;
    struct authenticator_challenge about = {.name = request->operation.name};
    AUTO_BUF struct buf lines;

    if (!authenticator->challenge)
        return;
    if (request->endpoint)
        about.action = request->endpoint->action;
    buf_init(&lines, CHALLENGE_MAX);
    authenticator->challenge(&about, &lines, authenticator->arg);
    headers_add_lines(headers, buf_bytes(&lines));
}

/* Without an endpoint the target was not understood: the listener decides. */
static bool is_text(const struct request *request)
{
    if (request->endpoint)
        return (request->endpoint->needs & NEEDS_TEXT) != 0;
    return request->listener == LISTENER_ADMIN;
}

static void print_error(const struct request *request, const struct api_error *error,
                        struct buf *body)
{
    if (is_text(request))
        buf_printf(body, "%s\n", error->text);
    else
        api_error_print(body, error);
}

/* `headers` are begun; Content-Type, Allow and the challenge are added. The text of `error` goes to
 * the log. */
static void respond_error(struct request *request, const struct api_error *error,
                          struct headers *headers, struct slice body)
{
    if (is_text(request))
        headers_add(headers, "Content-Type", SLICE_LITERAL("text/plain; charset=utf-8"));
    else
        headers_add(headers, "Content-Type", SLICE_LITERAL("application/json"));
    if (error->status == 405)
        add_allow(request, headers);
    if (error->status == 401)
        add_challenge(request, headers);
    if (!request->note)
        request->note = mem_strdup(error->text);
    request_respond(request, error->status, headers, body);
}

void request_fail_with(struct request *request, const struct api_error *error,
                       struct headers *headers)
{
    AUTO_BUF struct buf body;

    buf_init(&body, ERROR_BODY_MAX);
    print_error(request, error, &body);
    respond_error(request, error, headers, buf_bytes(&body));
}

void request_fail_list(struct request *request, const struct api_error *error, struct slice body)
{
    struct headers headers;

    headers_init(&headers);
    respond_error(request, error, &headers, body);
}

void request_fail_retry(struct request *request, const struct api_error *error, uint64_t seconds)
{
    struct headers headers;

    headers_init(&headers);
    headers_addf(&headers, "Retry-After", "%llu",
                 (unsigned long long)(seconds == 0 ? RETRY_AFTER_DEFAULT : seconds));
    request_fail_with(request, error, &headers);
}

void request_fail(struct request *request, const struct api_error *error)
{
    struct headers headers;

    if (error->status == 429 || error->status == 503) {
        request_fail_retry(request, error, 0);
        return;
    }
    headers_init(&headers);
    request_fail_with(request, error, &headers);
}

void request_failf(struct request *request, enum api_code code, const char *fmt, ...)
{
    struct api_error error;
    va_list args;

    va_start(args, fmt);
    (void)api_error_vset(&error, code, 0, fmt, args);
    va_end(args);
    request_fail(request, &error);
}

/* For those who push, who can tell the operator, and for the operator. */
static void explain_no_space(const struct request *request, const struct error *err,
                             struct api_error *error)
{
    struct error room;

    if (store_check_room(request->worker->options.store, &room) == 0)
        (void)error_set(&room, ERR_NO_SPACE, "the registry's disk has not enough room for this");
    api_error_set_status(error, API_UNAVAILABLE, error->status,
                         "%.120s; delete images, or other files there, or make the disk larger: "
                         "pushes work again by themselves then (%.180s)",
                         room.text, err->text);
}

void request_fail_error(struct request *request, const struct error *err, enum api_code not_found)
{
    struct api_error error;

    api_error_from(&error, err, not_found);
    if (err->kind == ERR_NO_SPACE)
        explain_no_space(request, err, &error);
    request_fail(request, &error);
}

/* Names what is not there, so that a typing error is seen in the client's message. A digest is
 * long, and stands in the client's own line. */
static void set_unknown(const struct request *request, enum api_code code, struct api_error *error)
{
    struct slice tag = request->operation.tag;
    struct slice origin = request->target.origin;
    struct slice name = request->target.name;
    const char *slash = origin.length > 0 ? "/" : "";

    if (code == API_NAME_UNKNOWN) {
        api_error_set(error, code, "there is no repository %.*s%s%.*s here", SLICE_PRINT(origin),
                      slash, SLICE_PRINT(name));
    } else if (code == API_MANIFEST_UNKNOWN && tag.length > 0) {
        api_error_set(error, code, "%.*s%s%.*s has no tag %.*s", SLICE_PRINT(origin), slash,
                      SLICE_PRINT(name), SLICE_PRINT(tag));
    } else {
        api_error_set(error, code, "%.*s%s%.*s has no %s of this digest", SLICE_PRINT(origin),
                      slash, SLICE_PRINT(name), code == API_BLOB_UNKNOWN ? "blob" : "manifest");
    }
}

void request_fail_unknown(struct request *request, struct ledger_txn *txn, enum api_code code)
{
    struct api_error error;
    const struct error *broken = ledger_error(txn);

    if (broken)
        api_error_set(&error, API_UNAVAILABLE, "the ledger cannot be read: %s", broken->text);
    else
        set_unknown(request, code, &error);
    request_fail(request, &error);
}

void request_abort(struct request *request, const char *why)
{
    if (!request->note)
        request->note = mem_strdup(why);
    http_conn_abort(request->conn);
}
