/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fetcher role: it talks to upstreams, writes spools, holds the upstreams' credentials and
 * reads the ledger. All clients of all workers that want a digest share one download of it.
 */
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

struct fetcher_options { /* all borrowed until fetcher_free, except the configuration */
    struct loop *loop;
    struct pool *pool;
    struct config *config; /* to begin with, with secrets; the fetcher takes a reference */
    struct store *store;
    struct ledger *ledger;
    void (*on_drained)(void *arg);
    /* A message to the master; see enum control_kind. May be NULL. */
    void (*ask_master)(enum control_kind kind, uint64_t argument, void *arg);
    void *arg;
};

/* It asks and answers nothing before it has channels. */
struct fetcher *fetcher_new(const struct fetcher_options *options);
/* Use this configuration from now on; the fetcher takes a reference. Running requests go on with
 * the addresses and credentials that they began with; what is known about an upstream (down, busy,
 * tokens) is kept. */
void fetcher_set_config(struct fetcher *fetcher, struct config *config);
/* Spools stay on disk, for the next fetcher. */
void fetcher_free(struct fetcher **fetcher);
/* A channel to a worker of that slot; `id` is the process's (see message PEER), and the descriptor
 * is taken over. A channel to an earlier worker of the slot, which drains, stays open with all its
 * followers until that worker closes it. */
void fetcher_add_worker(struct fetcher *fetcher, unsigned slot, uint64_t id, int *fd);
/* A new channel to the keeper; takes the descriptor over. BARRIER is sent first, then all that was
 * not answered on the old channel. */
void fetcher_set_keeper(struct fetcher *fetcher, int *fd);
/* Start nothing new. on_drained comes when everything that was brought is stored, or after
 * within_ms. */
void fetcher_drain(struct fetcher *fetcher, uint64_t within_ms);
/* Number of downloads and questions that are running. */
unsigned fetcher_flights(const struct fetcher *fetcher);

#endif
