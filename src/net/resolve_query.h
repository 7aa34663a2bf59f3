/* SPDX-License-Identifier: Apache-2.0 */
/* One call of getaddrinfo() on a thread. The query owns its name and its result, because it may
 * outlive the resolver. */
#ifndef NET_RESOLVE_QUERY_H
#define NET_RESOLVE_QUERY_H

#include "base/detached.h"
#include "base/slice.h"
#include "net/resolve.h"

struct error;

struct name_query {
    struct detached_call call; /* the first member: a call can be cast to its query */
    void *owner;               /* used by `done` alone, not by the thread */
    char *name;
    int failure; /* EAI_…; 0: none */
    int sys;     /* errno, with EAI_SYSTEM */
    struct resolved_name result;
};

/* `done` comes on the loop's thread with the query's call. */
struct name_query *name_query_new(struct slice name, void (*done)(struct detached_call *call),
                                  void *owner);
void name_query_free(struct name_query **query);
/* 0: the addresses are in `result`. ERR_NOT_FOUND: the name does not exist or has no address.
 * ERR_UPSTREAM: the query failed. */
int name_query_judge(const struct name_query *query, struct error *err);

#endif
