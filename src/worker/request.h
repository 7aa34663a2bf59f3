/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, from its head to its line in the access log. Owned by the connection's callbacks:
 * made in on_request, freed in on_done. What a request waits for is its `step`; a step that
 * outlives the request (a commit under way) is told by on_gone to forget it.
 */
#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "headers.h"
#include "ipc/message.h"
#include "net/http_conn.h"
#include "oci/operation.h"
#include "resolve.h"

struct api_error;
struct buf;
struct ledger_txn;
struct request;
struct worker;

/* What the connection's callbacks mean to whom the request is with; each may be NULL. */
struct request_steps {
    void (*on_body)(struct request *request, size_t length, bool is_end);
    void (*on_drained)(struct request *request);
    void (*on_gone)(struct request *request); /* the request is over, however it ended */
};

enum request_source { /* where the bytes of the answer came from */
    SOURCE_NONE,
    SOURCE_DISK,     /* the store */
    SOURCE_FLIGHT,   /* a spool */
    SOURCE_UPSTREAM, /* a message of the fetcher */
};

struct request {
    struct worker *worker;
    struct http_conn *conn;
    const struct http_head *head;
    enum listener_kind listener;
    struct operation operation;
    struct resolved target;
    uint64_t id;
    uint64_t began_us;
    const struct request_steps *steps;
    void *step;     /* theirs */
    int fd;         /* the file that is being sent, or -1 */
    int status;     /* 0: not answered yet */
    unsigned tries; /* how often the fetcher said that it is here by now */
    enum request_source source;
    bool is_parsed;      /* `operation` says what is asked */
    bool is_joined;      /* shared what another client had started */
    bool is_asked;       /* the fetcher had to be asked */
    const char *outcome; /* a constant sentence */
    char *note;          /* or one made for this request; owned */
};

/* Settle who is told of the connection's events from now on. */
void request_set_step(struct request *request, const struct request_steps *steps, void *step);

/* ---- answers: each request gets exactly one ---- */
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
void request_fail(struct request *request, const struct api_error *error);
void request_failf(struct request *request, enum api_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* With a Retry-After; seconds 0: one of ours. */
void request_fail_retry(struct request *request, const struct api_error *error, uint64_t seconds);
/* From an error of ours; `not_found` is the code of ERR_NOT_FOUND here. */
void request_fail_error(struct request *request, const struct error *err, enum api_code not_found);
/* What the ledger does not have: but if the ledger could not be read, nobody knows that: 503. */
void request_fail_unknown(struct request *request, struct ledger_txn *txn, enum api_code code);
/* It cannot be finished; the client must not take it for whole. */
void request_abort(struct request *request, const char *why);

/* ---- questions ---- */
bool request_is_head(const struct request *request);
/* "anonymous ADDRESS ID", for the journal. */
#define REQUEST_ACTOR_SIZE 160
void request_actor(const struct request *request, char out[REQUEST_ACTOR_SIZE]);

/* The callbacks of all fronts' servers. */
extern const struct http_handler request_handler;

#endif
