/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to a request: each request gets exactly one. What is given here is copied or sent
 * before the call returns, but for bodies that are taken over (request_respond_buf).
 */
#ifndef WORKER_ANSWER_H
#define WORKER_ANSWER_H

#include <stdint.h>

#include "base/slice.h"
#include "headers.h"
#include "oci/api_error.h"

struct buf;
struct digest;
struct error;
struct ledger_txn;
struct request;

/* Begins the headers of an answer about the request's repository. */
void request_headers(const struct request *request, struct headers *headers);
/* A whole answer. For HEAD the body is left out, and Content-Length is its length. */
void request_respond(struct request *request, int status, const struct headers *headers,
                     struct slice body);
/* For HEAD and 304: the head of an answer whose body has this length. */
void request_respond_head(struct request *request, int status, const struct headers *headers,
                          uint64_t length);
/* Begins an answer in pieces; the caller goes on with http_conn_send_… and http_conn_end. `length`
 * may be HTTP_NO_LENGTH. */
void request_begin(struct request *request, int status, const struct headers *headers,
                   uint64_t length);
/* A whole answer with a body in memory. A large one is taken over and sent in pieces; the answer is
 * 503 when too many of these are on their way. */
void request_respond_buf(struct request *request, int status, const struct headers *headers,
                         struct buf *body);
/* The same for content that many clients may be getting: it is copied once for all of them, found
 * by its digest, or by its bytes when `digest` is NULL. */
void request_respond_shared(struct request *request, int status, const struct headers *headers,
                            const struct digest *digest, struct slice bytes);
/* An error; 429 and 503 have a Retry-After. The access log has its text as well. */
void request_fail(struct request *request, const struct api_error *error);
void request_failf(struct request *request, enum api_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with headers that the caller began (headers_init, request_headers); Content-Type is
 * added. */
void request_fail_with(struct request *request, const struct api_error *error,
                       struct headers *headers);
/* The same with several errors, or with their detail: `body` was printed with api_errors_begin and
 * so on; status and text of the log are those of `error`. */
void request_fail_list(struct request *request, const struct api_error *error, struct slice body);
/* The same with a Retry-After of so many seconds; 0: the usual one. */
void request_fail_retry(struct request *request, const struct api_error *error, uint64_t seconds);
/* The same from an error of ours; `not_found` is the code of ERR_NOT_FOUND here. */
void request_fail_error(struct request *request, const struct error *err, enum api_code not_found);
/* The ledger does not have it: `code`. But when the ledger could not be read, 503. */
void request_fail_unknown(struct request *request, struct ledger_txn *txn, enum api_code code);
/* The answer cannot be finished: the connection is reset, so that the client does not take it for
 * complete. */
void request_abort(struct request *request, const char *why);

#endif
