/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole server in one process: worker, fetcher and keeper on one loop whose clock the test moves,
 * an upstream in memory (fakes/transfer.h), a pool that runs inline, and a store in a folder of its
 * own. Hours pass in milliseconds, and a role can die at any point.
 */
#ifndef ROLES_HOUSE_H
#define ROLES_HOUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "ipc/message.h"

#define HOUSE_WORKERS 2

struct authorizer;
struct house;

/* `settings` is YAML, for `upstreams:` and others; `storage` and `listen` are set by the house. */
struct house *house_new(const char *settings);
/* With rights. */
struct house *house_new_with(const char *settings, const struct authorizer *authorizer);
void house_free(struct house **house);
struct loop *house_loop(struct house *house);
/* The role dies, which closes its channels; house_start starts it again. `slot` is for workers. */
void house_kill(struct house *house, enum process_role role, unsigned slot);
void house_start(struct house *house, enum process_role role, unsigned slot);
/* All roles get another configuration, each its own copy; `settings` as in house_new. */
void house_configure(struct house *house, const char *settings);
/* Let this much virtual time pass and run what becomes ready. */
void house_pass(struct house *house, uint64_t ms);

struct visitor; /* one client connection */

struct visit { /* one answer */
    int status;
    struct buf head; /* status line and fields */
    struct buf body;
    bool is_whole;  /* as long as its Content-Length said */
    bool is_closed; /* the connection was closed */
};

struct visitor *visitor_new(struct house *house, unsigned slot);
void visitor_free(struct visitor **visitor);
void visitor_send(struct visitor *visitor, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Run the house until an answer is whole or the connection is closed, for at most `within_ms` of
 * its time, and return what has come. `is_head`: no body follows. The result belongs to the visitor
 * and is valid until the next call. */
const struct visit *visitor_read(struct visitor *visitor, bool is_head, uint64_t within_ms);
/* Send a request and read its answer. `fields` are header lines, each with its line end. */
const struct visit *visitor_ask(struct visitor *visitor, const char *method, const char *target,
                                const char *fields, struct slice body);
/* The value of a header of the answer, or NULL; valid until the next call. */
const char *visit_field(struct visitor *visitor, const char *name);

#endif
