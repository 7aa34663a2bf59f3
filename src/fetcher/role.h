/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the fetcher, as its modules see it, and what they share (role.c). */
#ifndef FETCHER_ROLE_H
#define FETCHER_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "fetcher/fetcher.h"
#include "ipc/metrics.h"

struct block_pool;
struct config;
struct keeper_client;
struct logins;
struct map;
struct resolver;
struct spool_index;
struct timer;
struct trim;
struct worker_link;

struct fetcher {
    struct fetcher_options options;
    struct config *config; /* the newest; a reference */
    struct ledger_reader *reader;
    struct keeper_client *keeper;
    struct logins *logins;
    struct resolver *resolver;     /* shared by all upstreams */
    struct map *upstreams;         /* name → struct upstream, made when it is first used */
    struct list retired_upstreams; /* replaced or removed, but still in use */
    struct map *flights;           /* binary digest → struct flight */
    struct map *asks;              /* key → struct ask */
    struct list all_asks;          /* also those that can no longer be joined */
    struct list dead_flights;      /* freed after this turn */
    struct map *absent;            /* tags an upstream refuses: key → struct absence */
    struct spool_index *spools;
    struct list workers; /* of struct worker_link */
    struct list waiting; /* JOINs that came before the gate opened */
    struct timer *gate;  /* opens the gate when no keeper comes */
    bool is_opening;     /* the predecessor's work is in the ledger; its spools are being listed */
    bool is_open;        /* the spools are listed: JOINs are answered */
    struct timer *drain;
    bool is_draining;
    size_t drain_holds; /* things that a drain waits for, besides the keeper */
    bool is_closing;    /* fetcher_free is running: nothing new is started */
    size_t works;       /* in the pool */
    uint64_t large_key; /* pool key: large lists and manifests are parsed one after the other */
    struct block_pool *blocks; /* bytes on their way to spools */
    struct trim *trim;
    uint64_t memory_used; /* bytes reserved by spools in memory */
    uint64_t spool_bytes; /* of spools on disk, and what those that are written still need */
    uint64_t flights_made;
};

/* ---- role.c ---- */
/* Submit work to the pool. It is counted so that fetcher_free can wait for it: `done` calls
 * fetcher_work_ended first. */
void fetcher_submit(struct fetcher *fetcher, struct pool_work *work);
void fetcher_work_ended(struct fetcher *fetcher);
/* Block until none of our work, which points to us, is left in the pool. */
void fetcher_wait_for_pool(struct fetcher *fetcher);
/* A drain waits until all holds are released and the keeper has answered everything. */
void drain_init(struct fetcher *fetcher);
void drain_cleanup(struct fetcher *fetcher);
void drain_hold(struct fetcher *fetcher);
void drain_release(struct fetcher *fetcher);
/* The keeper has answered everything. */
void drain_check(struct fetcher *fetcher);
/* A spool on disk takes other bytes than before; eviction reads their sum from the metrics. */
void fetcher_count_spool(struct fetcher *fetcher, uint64_t before, uint64_t after);
/* Set the metric `flights`: flights and asks that are running. */
void fetcher_count_flights(struct fetcher *fetcher);

#endif
