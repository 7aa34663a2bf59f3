/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: serves clients. May talk to clients, read the ledger and blobs/, write upload files;
 * nothing else. */
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

struct worker_options { /* all borrowed until worker_free, but the configuration */
    struct loop *loop;
    struct pool *pool;
    struct config *config; /* to begin with; the worker takes a reference of its own */
    struct store *store;
    struct ledger *ledger;
    struct upload_table *uploads;
    struct authenticator authenticator; /* zeroed: everybody is anonymous */
    struct authorizer authorizer;       /* zeroed: everybody may do everything */
    const struct endpoint *endpoints;   /* more than the program's own: for tests */
    size_t endpoint_count;
    unsigned slot;
    unsigned workers;              /* how many there are, for the fair share of connections */
    void (*on_drained)(void *arg); /* worker_drain is finished */
    void *arg;
};

/* Borrows what the options point to; serves nobody before it has listeners. */
struct worker *worker_new(const struct worker_options *options);
/* From now on new requests use this configuration, of which the worker takes a reference; those
 * that run end with the one they began with. Timeouts and rates of connections change at once. */
void worker_set_config(struct worker *worker, struct config *config);
/* Closes its connections; what was asked of others is forgotten. */
void worker_free(struct worker **worker);
/* A new channel to the fetcher or the keeper; replaces the one before, and what was asked there and
 * not answered is asked again here. */
void worker_set_peer(struct worker *worker, enum process_role role, int *fd);
/* Takes a listening socket over. */
void worker_listen(struct worker *worker, int *fd, enum listener_kind kind, const char *address);
/* Takes a connected socket over: what a listener of this kind accepted. For tests. */
void worker_adopt(struct worker *worker, int *fd, enum listener_kind kind, const char *peer);
/* Accept no more, finish what runs; then on_drained. */
void worker_drain(struct worker *worker, uint64_t within_ms);

#endif
