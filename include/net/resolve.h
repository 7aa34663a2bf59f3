/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks up host names without blocking the loop. getaddrinfo() runs on threads of its own
 * (base/detached), one query for a name at a time, and eight at a time for all names; the others
 * wait their turn. A query that runs longer than 3 s hangs: it is logged, and another may run
 * instead, up to 64 threads. It does not tell how long a record is valid, so
 * results are kept for fixed times: an answer for 30 s, a failure for 5 s. An answer up to 24 hours
 * old is used again when a new one fails or takes more than 1.8 s, unless the name server says that
 * the name does not exist (decision 11).
 *
 * Names are compared without regard to case. At most 1,024 are kept; the least recently used is
 * dropped first.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/slice.h"

struct error;
struct loop;
struct name_wait;
struct resolver;

#define RESOLVE_ADDRESSES_MAX 16

/* An address without a port. */
union resolved_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The addresses of a name, in order of preference. */
struct resolved_name {
    size_t count; /* at least 1 */
    union resolved_address addresses[RESOLVE_ADDRESSES_MAX];
};

/* The loop is borrowed. Threads are started on demand. */
struct resolver *resolver_new(struct loop *loop);
/* Never waits for a query. No callback comes after it. Must not be called from a name_fn. */
void resolver_free(struct resolver **resolver);

/* False for literal addresses (in all forms that the C library accepts), localhost, and names that
 * end in ".localhost": they need no name server. */
bool resolve_is_needed(struct slice host);

/* The result: exactly one of `name` and `err` is not NULL; both are valid during the call. Kinds:
 * ERR_NOT_FOUND (the name does not exist or has no address), ERR_UPSTREAM (the name server failed
 * or did not answer), ERR_BUSY (too many names are being looked up, or no thread can be started).
 */
typedef void name_fn(const struct resolved_name *name, const struct error *err, void *arg);
/* fn is called exactly once, never from inside this call; the wait is freed before it. There is no
 * timeout: a caller that does not want to wait any longer cancels. */
struct name_wait *resolver_ask(struct resolver *resolver, struct slice name, name_fn *fn,
                               void *arg);
/* fn will not be called. The query goes on, and its result is kept. Sets *wait to NULL; NULL is
 * allowed. */
void resolver_cancel(struct name_wait **wait);

#endif
