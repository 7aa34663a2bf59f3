/* SPDX-License-Identifier: Apache-2.0 */
/* getaddrinfo() and its results. This is the only place that calls it. */
#include "resolve_query.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"

/* Without IPv6 in the kernel, IPv6 addresses are not asked for. AI_ADDRCONFIG is no substitute: it
 * also finds nothing on a machine that has only a loopback interface. */
static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

/* Drops the zone of an IPv6 address, because libcurl accepts none in CURLOPT_RESOLVE. */
static bool copy_address(const struct sockaddr *from, union resolved_address *out)
{
    *out = (union resolved_address){0};
    if (from->sa_family == AF_INET) {
        memcpy(&out->v4, from, sizeof(out->v4));
        out->v4.sin_port = 0;
        return true;
    }
    if (from->sa_family == AF_INET6) {
        memcpy(&out->v6, from, sizeof(out->v6));
        out->v6.sin6_port = 0;
        out->v6.sin6_scope_id = 0;
        return true;
    }
    return false;
}

static void run_query(struct detached_call *call)
{
    struct name_query *query = (struct name_query *)(void *)call;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    hints.ai_family = has_ipv6() ? AF_UNSPEC : AF_INET;
    errno = 0;
    query->failure = getaddrinfo(query->name, NULL, &hints, &found);
    query->sys = errno;
    if (query->failure != 0)
        return;
    for (struct addrinfo *at = found; at && query->result.count < RESOLVE_ADDRESSES_MAX;
         at = at->ai_next) {
        if (copy_address(at->ai_addr, &query->result.addresses[query->result.count]))
            query->result.count++;
    }
    freeaddrinfo(found);
}

static void drop_query(struct detached_call *call)
{
    struct name_query *query = (struct name_query *)(void *)call;

    name_query_free(&query);
}

struct name_query *name_query_new(struct slice name, void (*done)(struct detached_call *call),
                                  void *owner)
{
    struct name_query *query = NEW(struct name_query);

    query->call.run = run_query;
    query->call.done = done;
    query->call.drop = drop_query;
    query->owner = owner;
    query->name = slice_dup(name);
    return query;
}

void name_query_free(struct name_query **query)
{
    struct name_query *gone = TAKE(*query);

    if (!gone)
        return;
    mem_free(gone->name);
    mem_free(gone);
}

int name_query_judge(const struct name_query *query, struct error *err)
{
    if (query->failure == 0 && query->result.count > 0)
        return 0;
    if (query->failure == 0 || query->failure == EAI_NONAME || query->failure == EAI_NODATA) {
        return error_set(err, ERR_NOT_FOUND, "no address is known for the name \"%s\"",
                         query->name);
    }
    if (query->failure == EAI_SYSTEM && query->sys != 0) {
        error_set_errno(err, query->sys, "looking up the name \"%s\"", query->name);
        err->kind = ERR_UPSTREAM;
        return -ERR_UPSTREAM;
    }
    return error_set(err, ERR_UPSTREAM, "looking up the name \"%s\": %s", query->name,
                     gai_strerror(query->failure));
}
