/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of host names, without waiting on the loop. getaddrinfo() runs on threads of its own
 * (base/detached), one question for a name at a time, and its answers are kept: 30 s an answer, 5 s
 * a failure, because getaddrinfo() does not tell how long a record may be kept. An answer of the
 * last 24 hours is used again when a new one does not come within 1.8 s, or cannot be had; not when
 * the name server says that the name does not exist (decision 11).
 *
 * Names are compared without regard to case. At most 1,024 are kept; the least recently asked is
 * forgotten first.
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

/* All addresses of a name, the preferred first. */
struct resolved_name {
    size_t count; /* at least 1 */
    union resolved_address addresses[RESOLVE_ADDRESSES_MAX];
};

/* Knows no name yet; threads are started when they are needed. */
struct resolver *resolver_new(struct loop *loop);
/* Never waits. No callback comes after it; it must not be called from inside one. */
void resolver_free(struct resolver **resolver);

/* False for a literal address (in any form that the C library reads as one), and for localhost and
 * what ends in .localhost: these need no name server, and are not for resolver_ask. */
bool resolve_is_needed(struct slice host);

/* Exactly one of them is not NULL. Both are borrowed for the call. Kinds: ERR_NOT_FOUND (there is
 * no such name, or it has no address), ERR_UPSTREAM (the name server failed or did not answer),
 * ERR_BUSY (too many names are being looked up, or there is no thread). */
typedef void name_fn(const struct resolved_name *name, const struct error *err, void *arg);
/* fn comes exactly once, never from inside this call, and frees the wait. How long it takes is up
 * to the name server: the caller has a timer of its own, and cancels. */
struct name_wait *resolver_ask(struct resolver *resolver, struct slice host, name_fn *fn,
                               void *arg);
/* fn does not come any more. The question itself goes on, and its answer is kept for the next.
 * *wait is set to NULL. */
void resolver_cancel(struct name_wait **wait);

#endif
