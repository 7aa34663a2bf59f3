/* SPDX-License-Identifier: Apache-2.0 */
/* The master's state, and how its three files share the work: master.c sets up and takes signals,
 * supervise.c starts and restarts, drain.c stops. */
#ifndef MASTER_STATE_H
#define MASTER_STATE_H

#include "base/clock.h"
#include "child_process.h"
#include "ipc/metrics.h"
#include "listeners.h"
#include "master/master.h"

struct loop;

#define CHILDREN_MAX (WORKERS_MAX + 2)

enum master_phase {
    PHASE_STARTING, /* until all are READY for the first time */
    PHASE_RUNNING,
    PHASE_DRAIN_WORKERS, /* the others are still wanted */
    PHASE_DRAIN_FETCHER,
    PHASE_DRAIN_KEEPER,
};

struct master {
    struct master_options options;
    struct loop *loop;
    enum master_phase phase;
    int status; /* exit status */
    struct listeners listeners;
    int config_fd;        /* sealed; for all but the fetcher */
    int secret_config_fd; /* with the credentials of upstreams */
    int metrics_fd;
    struct child children[CHILDREN_MAX]; /* keeper, fetcher, workers */
    size_t child_count;
    struct timer *tick; /* pings */
    struct timer *hard_limit;
    uint64_t ping_number;
    struct monotime drain_began;
};

struct child *master_keeper(struct master *master);

/* ---- supervise.c ---- */
void supervise_start(struct master *master, struct child *child);
/* The others, when the keeper is ready. */
void supervise_start_missing(struct master *master);
void supervise_reap(struct master *master);
void supervise_tick(struct master *master);
/* A channel between the newcomer and everybody of another role. */
void rendezvous(struct master *master, struct child *newcomer);

/* ---- master.c ---- */
void master_child_ready(struct master *master, struct child *child);

/* ---- drain.c ---- */
void drain_begin(struct master *master);
/* SIGKILL to those that are being drained. */
void drain_hurry(struct master *master);
/* Somebody died: on to the next phase if it was the last of this one. */
void drain_advance(struct master *master);
/* Is it to be started again when it dies? */
bool drain_is_wanted(const struct master *master, const struct child *child);

#endif
