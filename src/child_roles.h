/* SPDX-License-Identifier: Apache-2.0 */
/* What a child's frame (child.c) must know about the role that it runs: one row a role. */
#ifndef CHILD_ROLES_H
#define CHILD_ROLES_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/message.h"

struct config;
struct error;
struct ledger;
struct loop;
struct pool;
struct store;
struct upload_table;

/* All that a role may be made of; borrowed until it is freed. */
struct role_parts {
    struct loop *loop;
    struct pool *pool;
    struct config *config;
    struct store *store;
    struct ledger *ledger;
    struct upload_table *uploads;
    unsigned slot;
    void (*on_drained)(void *arg);
    /* A message to the master; see enum control_kind. */
    void (*ask_master)(enum control_kind kind, uint64_t argument, void *arg);
    void *arg;
};

struct role_ops {
    bool writes_ledger; /* it locks the store and makes the ledger; the others wait for that */
    /* May it run with this configuration? NULL: always. The error says why not. */
    int (*check)(const struct role_parts *parts, struct error *err);
    void *(*make)(const struct role_parts *parts);
    void (*set_config)(void *object, struct config *config);
    /* Takes the socket over. NULL: it gets none. */
    void (*listen)(void *object, int *fd, enum listener_kind kind, const char *address,
                   bool is_proxied);
    /* Takes the channel over, or leaves it when that role is none of its peers. */
    void (*set_peer)(void *object, const struct message_peer *peer, int *fd);
    void (*drain)(void *object, const struct message_drain *how);
    /* The master is gone, and no channel comes any more. It goes on for a while: `drain` is called
     * next. NULL: it ends at once. */
    void (*orphan)(void *object);
    void (*free)(void *object);
};

/* NULL: no child has that role. */
const struct role_ops *role_ops(enum process_role role);

#endif
