/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint: what one or more methods do at one kind of address. The table of all endpoints is
 * endpoints.c; here it is searched. A row says everything that is not the work itself: where it is
 * reached, its name in the log, what must be known before its handler is called. Rows of the same
 * address make up its Allow header.
 */
#ifndef WORKER_ENDPOINT_H
#define WORKER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "ipc/message.h"
#include "oci/operation.h"
#include "rules/action.h"

struct buf;
struct ledger_txn;
struct request;

#define METHOD_BIT(method)     (1u << METHOD_##method)
#define METHODS_READ           (METHOD_BIT(GET) | METHOD_BIT(HEAD))
#define LISTENER_BIT(listener) (1u << LISTENER_##listener)
#define LISTENERS_API          (LISTENER_BIT(FULL) | LISTENER_BIT(MIRROR))
#define ALLOW_MAX              128 /* bytes of a list of methods */

/* What dispatch does for an endpoint before, or instead of, other things: bits. */
enum endpoint_needs {
    NEEDS_REPOSITORY = 1u << 0, /* the name is resolved, and `action` on it authorized */
    NEEDS_NO_LOGIN = 1u << 1,   /* answered without asking who the client is */
    NEEDS_TEXT = 1u << 2,       /* its errors are text/plain, not the API's JSON */
};

struct endpoint {
    const char *path;         /* the whole path, for an address outside /v2/; else NULL: */
    enum operation_kind kind; /* the kind of address under /v2/ */
    unsigned listeners;       /* bits by enum listener_kind */
    unsigned methods;         /* bits by enum http_method */
    const char *label;        /* "pull_blob": in the access log */
    unsigned needs;
    enum action action; /* NEEDS_REPOSITORY: what is done with the repository */
    /* Answers the request, or gives it a step that will. `txn` is NULL without NEEDS_REPOSITORY,
     * and ends when this returns. */
    void (*handle)(struct request *request, struct ledger_txn *txn);
};

/* Tables of endpoints, searched one after the other. Borrowed. */
#define ENDPOINT_TABLES_MAX 2
struct endpoint_set {
    struct {
        const struct endpoint *rows;
        size_t count;
    } tables[ENDPOINT_TABLES_MAX];
};

/* An address as one kind of listener has it: path, or kind when path has no data. */
struct endpoint_address {
    enum listener_kind listener;
    struct slice path;
    enum operation_kind kind;
};

/* Is there an endpoint with this path, whatever its methods? */
bool endpoint_has_path(const struct endpoint_set *set, const struct endpoint_address *address);
/* NULL: the address has not this method, or there is no such address. */
const struct endpoint *endpoint_find(const struct endpoint_set *set,
                                     const struct endpoint_address *address,
                                     enum http_method method);
/* Appends the methods of an address, "GET, HEAD". is_read_only: without those that write. `except`:
 * without this method, which was just refused; METHOD_OTHER: with all. */
void endpoint_print_methods(const struct endpoint_set *set, const struct endpoint_address *address,
                            bool is_read_only, enum http_method except, struct buf *out);
/* Appends the methods of every address of a listener. */
void endpoint_print_all_methods(const struct endpoint_set *set, enum listener_kind listener,
                                struct buf *out);
/* Appends the paths of a listener, "/healthz, /readyz". */
void endpoint_print_paths(const struct endpoint_set *set, enum listener_kind listener,
                          struct buf *out);

/* It reads bytes of a repository: counted as a hit or a miss. */
bool endpoint_is_pull(const struct endpoint *endpoint);

#endif
