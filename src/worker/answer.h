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

/* Headers that every answer about the repository has. */
void request_headers(const struct request *request, struct headers *headers);
/* A whole answer; for HEAD the body is left out and its length said. */
void request_respond(struct request *request, int status, const struct headers *headers,
                     struct slice body);
/* HEAD: the head of a body of this length. */
void request_respond_head(struct request *request, int status, const struct headers *headers,
                          uint64_t length);
/* The beginning of an answer in pieces. */
void request_begin(struct request *request, int status, const struct headers *headers,
                   uint64_t length);
/* A body that is in memory: sent in pieces when it is large, and then taken over. 503 when too many
 * such are on their way. */
void request_respond_buf(struct request *request, int status, const struct headers *headers,
                         struct buf *body);
/* The same of bytes that others may be sent too, whose digest it is: copied once for all of them.
 */
void request_respond_shared(struct request *request, int status, const struct headers *headers,
                            const struct digest *digest, struct slice bytes);
/* An error; 429 and 503 with a Retry-After of ours. Its text is also what the access log says. */
void request_fail(struct request *request, const struct api_error *error);
void request_failf(struct request *request, enum api_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* With headers that the caller began (headers_init, request_headers); Content-Type is added. */
void request_fail_with(struct request *request, const struct api_error *error,
                       struct headers *headers);
/* With several errors, or with their detail: `body` was printed with api_errors_begin and so on;
 * status and text of the log are those of `error`. */
void request_fail_list(struct request *request, const struct api_error *error, struct slice body);
/* With a Retry-After; seconds 0: one of ours. */
void request_fail_retry(struct request *request, const struct api_error *error, uint64_t seconds);
/* From an error of ours; `not_found` is the code of ERR_NOT_FOUND here. */
void request_fail_error(struct request *request, const struct error *err, enum api_code not_found);
/* What the ledger does not have: but if the ledger could not be read, nobody knows that: 503. */
void request_fail_unknown(struct request *request, struct ledger_txn *txn, enum api_code code);
/* It cannot be finished; the client must not take it for whole. */
void request_abort(struct request *request, const char *why);

#endif
