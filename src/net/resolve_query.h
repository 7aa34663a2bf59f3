/* SPDX-License-Identifier: Apache-2.0 */
/* One call of getaddrinfo() on a thread of its own. The query owns its name and its result, so that
 * it can outlive the resolver. */
#ifndef NET_RESOLVE_QUERY_H
#define NET_RESOLVE_QUERY_H

#include "base/detached.h"
#include "base/slice.h"
#include "net/resolve.h"

struct error;

struct name_query {
    struct detached_call call; /* first: query and call are one address */
    void *owner;               /* for `done`; the thread does not touch it */
    char *name;
    int failure; /* EAI_…; 0: none */
    int sys;     /* errno, with EAI_SYSTEM */
    struct resolved_name result;
};

/* `done` comes on the loop's thread with the query's call. */
struct name_query *name_query_new(struct slice name, void (*done)(struct detached_call *call),
                                  void *owner);
void name_query_free(struct name_query **query);
/* 0, and the addresses are in `result`; ERR_NOT_FOUND: the name has no address; ERR_UPSTREAM. */
int name_query_judge(const struct name_query *query, struct error *err);

#endif
