/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a request. The worker asks before it resolves the request's repository and before it
 * reads any body. The authenticator answers at once, from inside `begin`, or later, when a password
 * was hashed in the pool for example. Until then the request's head is kept, its body is not read,
 * and no other request of its connection is begun.
 *
 *   begin → accept or refuse    (on the loop's thread, exactly once)
 *      └──→ cancel              (the client left, the worker ends, or it took too long)
 */
#ifndef WORKER_AUTHENTICATOR_H
#define WORKER_AUTHENTICATOR_H

#include "base/slice.h"
#include "ipc/message.h"
#include "net/http_conn.h"
#include "rules/action.h"

struct api_error;
struct buf;
struct principal;

/* One request that is being judged; made and freed by the worker. */
struct authentication {
    const struct http_head *head; /* with its Authorization */
    const char *peer;             /* the client's printable address */
    enum listener_kind listener;
    void *state; /* the authenticator's own */
};

/* What a 401 is about. */
struct authenticator_challenge {
    struct slice name; /* the repository as the client wrote it; empty: none */
    enum action action;
};

struct authenticator { /* all NULL: everybody is anonymous, at no cost */
    void (*begin)(struct authentication *authentication, void *arg);
    /* No verdict is wanted any more: `authentication` is freed when this returns. */
    void (*cancel)(struct authentication *authentication, void *arg);
    /* Appends the headers that every 401 has, whether it comes from here or from the authorizer:
     * "WWW-Authenticate: …\r\n". */
    void (*challenge)(const struct authenticator_challenge *about, struct buf *out, void *arg);
    void *arg;
};

/* The principal's name is copied. `authentication` is freed. */
void authentication_accept(struct authentication *authentication,
                           const struct principal *principal);
/* Answers the request with the error, and with these headers besides the challenge of a 401: lines
 * of "Name: value\r\n". `authentication` is freed. */
void authentication_refuse(struct authentication *authentication, const struct api_error *error,
                           struct slice headers);

#endif
