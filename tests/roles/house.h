/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole server in one process: worker, fetcher and keeper on one loop whose clock the test moves,
 * an upstream in memory (fakes/transfer.h), the pool run inline, the store in a folder of its own.
 * Hours pass in milliseconds, and a role can be made to die at any point.
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

/* `settings` is YAML for `upstreams:` and the like; storage and listen are the house's own. */
struct house *house_new(const char *settings);
/* With rights. */
struct house *house_new_with(const char *settings, const struct authorizer *authorizer);
void house_free(struct house **house);
struct loop *house_loop(struct house *house);
/* The role dies: its channels close. It is back after house_start. Workers by slot. */
void house_kill(struct house *house, enum process_role role, unsigned slot);
void house_start(struct house *house, enum process_role role, unsigned slot);
/* All roles get another configuration; `settings` as in house_new. */
void house_configure(struct house *house, const char *settings);
/* Let this much (virtual) time pass, running what becomes ready. */
void house_pass(struct house *house, uint64_t ms);

struct visitor; /* one client connection */

struct visit { /* one answer */
    int status;
    struct buf head; /* status line and fields */
    struct buf body;
    bool is_whole;  /* as long as its Content-Length said */
    bool is_closed; /* the connection is */
};

struct visitor *visitor_new(struct house *house, unsigned slot);
void visitor_free(struct visitor **visitor);
void visitor_send(struct visitor *visitor, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Run the house until an answer is whole or the connection closed, at most `within_ms` of its time;
 * then what there is. `is_head`: no body follows. The result is the visitor's, until the next call.
 */
const struct visit *visitor_read(struct visitor *visitor, bool is_head, uint64_t within_ms);
/* Ask and read. `fmt` is "GET /v2/… HTTP/1.1"-style method and target, without the version. */
const struct visit *visitor_ask(struct visitor *visitor, const char *method, const char *target,
                                const char *fields, struct slice body);
/* Value of an answer's field, or NULL; the visitor's, until the next call. */
const char *visit_field(struct visitor *visitor, const char *name);

#endif
