/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, from its head to its line in the access log. front.c makes it when its head has
 * arrived and ends it when its answer is over. What a request waits for is its `step`. A step that
 * outlives the request, such as a commit that is under way, learns from on_gone to forget it.
 */
#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "endpoint.h"
#include "file_check.h"
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

/* The connection's callbacks, for the step that the request is in; each may be NULL. */
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

/* When the fetcher has said so often that content is here, and it cannot be read, it is an error.
 */
#define REQUEST_TRIES_MAX 2

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
    struct digest pushed; /* what a push stored; algorithm 0: nothing yet */
    char *client;         /* whom proxies named as the client; NULL: the connection's; owned */
    uint64_t id;
    uint64_t began_us;
    const struct request_steps *steps;
    void *step;            /* belongs to `steps` */
    int fd;                /* the file that is being sent, or -1 */
    int status;            /* 0: not answered yet */
    unsigned shadow_asked; /* questions of worker/shadow.c that were answered */
    unsigned tries;        /* how often the fetcher said that the content is here */
    enum request_source source;
    bool is_joined;              /* it shares a flight or a question with another client */
    bool is_asked;               /* the fetcher had to be asked */
    bool is_damage_told;         /* the log has a line about the file it would be served from */
    struct file_finding finding; /* of the file that was compared last */
    const char *outcome;         /* a constant sentence */
    char *note;                  /* or one made for this request; owned */
};

/* `head` lives until the connection's on_done. */
struct request *request_new(struct worker *worker, struct http_conn *conn,
                            const struct http_head *head, enum listener_kind listener);
/* While work in the pool holds a reference it may read the request, even after the client has left;
 * `conn` and `head` belong to the connection and are NULL then. References are taken and released
 * on the loop's thread. */
struct request *request_ref(struct request *request);
void request_unref(struct request **request);
/* From now on the connection's events go to these steps. NULL: they are ignored. */
void request_set_step(struct request *request, const struct request_steps *steps, void *step);

bool request_is_head(const struct request *request);
/* The client's address, printable. The connection must be there. */
const char *request_client(const struct request *request);
/* Whom the journal names for what the call changes. */
void request_set_actor(const struct request *request, struct keeper_call *call);

#endif
