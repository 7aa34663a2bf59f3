/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher: talks to upstreams, writes spools, holds upstream credentials, reads the ledger. One
 * flight a digest. */
#ifndef FETCHER_FETCHER_H
#define FETCHER_FETCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/message.h"

struct config;
struct fetcher;
struct ledger;
struct loop;
struct pool;
struct store;

struct fetcher_options { /* all borrowed until fetcher_free, but the configuration */
    struct loop *loop;
    struct pool *pool;
    struct config
        *config; /* with secrets, to begin with; the fetcher takes a reference of its own */
    struct store *store;
    struct ledger *ledger;
    void (*on_drained)(void *arg);
    /* A message to the master; see enum control_kind. May be NULL. */
    void (*ask_master)(enum control_kind kind, uint64_t argument, void *arg);
    void *arg;
};

/* Borrows what the options point to; talks to nobody before it has channels. */
struct fetcher *fetcher_new(const struct fetcher_options *options);
/* From now on this configuration, of which the fetcher takes a reference, is used. What runs goes
 * on with the addresses and credentials it began with; what is known of an upstream (down, busy,
 * tokens) stays known. */
void fetcher_set_config(struct fetcher *fetcher, struct config *config);
/* Spools stay. */
void fetcher_free(struct fetcher **fetcher);
/* A channel to a worker of that slot; `id` is the process's, see message PEER. One to an earlier
 * worker of the slot stays, with what it follows, until it closes: that worker drains. */
void fetcher_add_worker(struct fetcher *fetcher, unsigned slot, uint64_t id, int *fd);
/* A new channel to the keeper: the first thing said on it is BARRIER; what was not answered before
 * is sent again. */
void fetcher_set_keeper(struct fetcher *fetcher, int *fd);
/* Start nothing new; when all is told to the keeper and answered, or after within_ms, on_drained.
 */
void fetcher_drain(struct fetcher *fetcher, uint64_t within_ms);
/* Downloads that are running. */
unsigned fetcher_flights(const struct fetcher *fetcher);

#endif
