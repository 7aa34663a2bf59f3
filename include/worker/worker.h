/* SPDX-License-Identifier: Apache-2.0 */
/* The worker serves clients. It may talk to clients, read the ledger and blobs/, and write upload
 * files; nothing else. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/message.h"
#include "rules/authorize.h"
#include "worker/authenticator.h"

struct config;
struct endpoint;
struct ledger;
struct loop;
struct pool;
struct store;
struct upload_table;
struct worker;

struct worker_options {  /* borrowed until worker_free, except the configuration */
    const char *version; /* of the program, for the administrator; NULL: none */
    bool is_steward;     /* for the administrator alone; it ends when it is idle */
    struct loop *loop;
    struct pool *pool;
    struct config *config; /* to begin with; the worker takes a reference of its own */
    struct store *store;
    struct ledger *ledger;
    struct upload_table *uploads;
    struct authenticator authenticator; /* zeroed: everybody is anonymous */
    struct authorizer authorizer;       /* zeroed: everybody may do everything */
    const struct endpoint *endpoints;   /* in addition to the program's own; for tests */
    size_t endpoint_count;
    unsigned slot;
    unsigned workers;              /* how many there are, for the fair share of connections */
    void (*on_drained)(void *arg); /* worker_drain has finished; may be NULL */
    void *arg;
};

/* It has no clients before it has listeners. */
struct worker *worker_new(const struct worker_options *options);
/* New requests use this configuration from now on; those that run end with the one they began with.
 * The worker takes a reference of its own. Timeouts and rates of connections change at once. */
void worker_set_config(struct worker *worker, struct config *config);
/* Closes its connections and waits for its work in the pool; questions to other processes are
 * dropped. */
void worker_free(struct worker **worker);
/* A new channel to the fetcher or the keeper, taken over. It replaces the old one; what was not
 * answered there is asked again here. */
void worker_set_peer(struct worker *worker, enum process_role role, int *fd);
/* Takes a listening socket over. is_proxied: each connection begins with the PROXY protocol. */
void worker_listen(struct worker *worker, int *fd, enum listener_kind kind, const char *address,
                   bool is_proxied);
/* Takes a connected socket over: what a listener of this kind accepted. For tests. */
void worker_adopt(struct worker *worker, int *fd, enum listener_kind kind, const char *peer);
/* From now on it is not ready. After how->delay_ms it accepts what is queued, closes its sockets
 * (that of the admin pages only without how->keeps_admin), and finishes running requests for at
 * most how->within_ms; then on_drained is called. A second call may only shorten that. */
void worker_drain(struct worker *worker, const struct message_drain *how);
/* The master is gone, and no other keeper or fetcher comes: what would wait for one fails at once.
 */
void worker_orphan(struct worker *worker);

#endif
