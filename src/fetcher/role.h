/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher's own state, as its modules see it. */
#ifndef ROLE_H
#define ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "fetcher/fetcher.h"
#include "ipc/metrics.h"

struct config;
struct keeper_client;
struct map;
struct resolver;
struct spool_index;
struct timer;
struct worker_link;

struct fetcher {
    struct fetcher_options options;
    struct config *config; /* the newest; a reference */
    struct ledger_reader *reader;
    struct keeper_client *keeper;
    struct resolver *resolver;     /* of all upstreams */
    struct map *upstreams;         /* name → struct upstream, made when first asked */
    struct list retired_upstreams; /* replaced or removed, but still in use */
    struct map *flights;           /* binary digest → struct flight */
    struct map *asks;              /* key → struct ask */
    struct list all_asks;          /* those too that nobody can join any more */
    struct list dead_flights;      /* freed after this turn */
    struct map *absent;            /* tags an upstream lacks: key → struct absence */
    struct spool_index *spools;
    struct list workers; /* struct worker_link, in the order of their coming */
    struct list waiting; /* joins that came before the gate opened */
    struct timer *gate;  /* opens it without a keeper */
    bool is_opening;     /* the predecessor's work is in the ledger; its spools are being listed */
    bool is_open;        /* and known */
    struct timer *drain;
    bool is_draining;
    size_t drain_holds;   /* what a drain waits for, but the keeper */
    bool is_closing;      /* fetcher_free runs: nothing new */
    size_t works;         /* in the pool */
    uint64_t large_key;   /* the pool's: large lists and manifests are read one after the other */
    uint64_t memory_used; /* by spools in memory */
    uint64_t flights_made;
};

/* ---- role.c ---- */
/* Work in the pool, counted so that fetcher_free can wait for it. The first thing `done` does is
 * fetcher_work_ended. */
void fetcher_submit(struct fetcher *fetcher, struct pool_work *work);
void fetcher_work_ended(struct fetcher *fetcher);
/* Blocks until nothing of ours is left in the pool: its work points to us. */
void fetcher_wait_for_pool(struct fetcher *fetcher);
/* A drain waits until everybody who holds it has released it, and the keeper has answered all. */
void drain_init(struct fetcher *fetcher);
void drain_cleanup(struct fetcher *fetcher);
void drain_hold(struct fetcher *fetcher);
void drain_release(struct fetcher *fetcher);
/* The keeper has answered all. */
void drain_check(struct fetcher *fetcher);
/* The gauge of what runs. */
void fetcher_count_flights(struct fetcher *fetcher);

#endif
