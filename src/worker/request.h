/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, from its head to its line in the access log. front.c makes it when its head is here
 * and frees it when its answer is over. What a request waits for is its `step`; a step that
 * outlives the request (a commit under way) is told by on_gone to forget it.
 */
#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "endpoint.h"
#include "headers.h"
#include "ipc/message.h"
#include "net/http_conn.h"
#include "oci/operation.h"
#include "rules/authorize.h"
#include "rules/principal.h"
#include "rules/resolve.h"

struct config;
struct keeper_call;
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
    unsigned references;
    struct worker *worker;
    struct config *config; /* the worker's when the request began; a reference */
    struct http_conn *conn;
    const struct http_head *head;
    enum listener_kind listener;
    struct endpoint_address address;
    const struct endpoint *endpoint; /* NULL: the target was not understood */
    struct operation operation;      /* of an address under /v2/; else only its method is set */
    struct principal principal;
    char *principal_name; /* what its name points to, but for the anonymous; owned */
    struct resolved target;
    struct permit permit; /* for the target */
    uint64_t id;
    uint64_t began_us;
    const struct request_steps *steps;
    void *step;     /* theirs */
    int fd;         /* the file that is being sent, or -1 */
    int status;     /* 0: not answered yet */
    unsigned tries; /* how often the fetcher said that it is here by now */
    enum request_source source;
    bool is_joined;      /* shared what another client had started */
    bool is_asked;       /* the fetcher had to be asked */
    bool is_damage_told; /* the log has a line about the file it would be served from */
    const char *outcome; /* a constant sentence */
    char *note;          /* or one made for this request; owned */
};

/* `head` lives until the connection's on_done. */
struct request *request_new(struct worker *worker, struct http_conn *conn,
                            const struct http_head *head, enum listener_kind listener);
/* Its parts that are no connection's stay as they are while somebody holds a reference, so that
 * work in the pool may read them after the client is gone; `conn` and `head` are NULL then.
 * References are taken and given back on the loop's thread. */
struct request *request_ref(struct request *request);
void request_unref(struct request **request);
/* Settle who is told of the connection's events from now on. */
void request_set_step(struct request *request, const struct request_steps *steps, void *step);

bool request_is_head(const struct request *request);
/* Whom the journal names for what the call changes. */
void request_set_actor(const struct request *request, struct keeper_call *call);

#endif
