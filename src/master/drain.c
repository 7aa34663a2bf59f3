/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end: first the workers finish what their clients wait for, with fetcher and keeper at their
 * side; then the fetcher tells the keeper what it has; then the keeper commits it.
 *
 *   RUNNING → DRAIN_WORKERS → DRAIN_FETCHER → DRAIN_KEEPER → loop_stop
 *                    each: DRAIN to them, on when the last of them is dead
 */
#include <signal.h>

#include "base/log.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "master_state.h"
#include "net/loop.h"

#define AFTER_WORKERS_MS 3000 /* for fetcher and keeper, over the workers' time */

static bool is_of_phase(enum master_phase phase, const struct child *child)
{
    return (phase == PHASE_DRAIN_WORKERS && child->role == ROLE_WORKER) ||
           (phase == PHASE_DRAIN_FETCHER && child->role == ROLE_FETCHER) ||
           (phase == PHASE_DRAIN_KEEPER && child->role == ROLE_KEEPER);
}

bool drain_is_wanted(const struct master *master, const struct child *child)
{
    if (master->phase < PHASE_DRAIN_WORKERS)
        return true;
    if (master->status != 0 || child->role == ROLE_WORKER)
        return false;
    return child->role == ROLE_KEEPER ? master->phase < PHASE_DRAIN_KEEPER
                                      : master->phase < PHASE_DRAIN_FETCHER;
}

/* So much of the whole time as is left, and never nothing. */
static uint64_t time_left(const struct master *master)
{
    uint64_t whole = master->options.config->limits.drain_timeout;
    uint64_t used = monotime_since(clock_mono(), master->drain_began);
    uint64_t left = used < whole ? whole - used : 0;
    return master->phase == PHASE_DRAIN_WORKERS ? left : left + AFTER_WORKERS_MS / 3;
}

static void tell(const struct master *master, struct child *child)
{
    struct message_drain message = {.within_ms = time_left(master)};
    child->is_stopping = true;
    timer_stop(child->restart);
    if (child->state == CHILD_DOWN) {
        child_set_state(child, CHILD_GONE);
    } else if (child->line != NULL) {
        channel_send(child->line, MESSAGE_DRAIN, &message, -1);
    }
}

/* True: nobody of this phase lives. */
static bool is_over(const struct master *master)
{
    for (size_t i = 0; i < master->child_count; i++) {
        if (is_of_phase(master->phase, &master->children[i]) &&
            master->children[i].state != CHILD_GONE)
            return false;
    }
    return true;
}

static void enter(struct master *master, enum master_phase phase)
{
    master->phase = phase;
    for (size_t i = 0; i < master->child_count; i++) {
        if (is_of_phase(phase, &master->children[i]))
            tell(master, &master->children[i]);
    }
}

void drain_advance(struct master *master)
{
    while (master->phase >= PHASE_DRAIN_WORKERS && is_over(master)) {
        if (master->phase == PHASE_DRAIN_KEEPER) {
            loop_stop(master->loop);
            return;
        }
        enter(master, master->phase + 1);
    }
}

void drain_begin(struct master *master)
{
    if (master->phase >= PHASE_DRAIN_WORKERS)
        return;
    uint64_t within = master->options.config->limits.drain_timeout;
    log_say(LOG_INFO, "draining, within %llu ms", (unsigned long long)within);
    master->drain_began = clock_mono();
    timer_start(master->hard_limit, within + AFTER_WORKERS_MS);
    enter(master, PHASE_DRAIN_WORKERS);
}

void drain_hurry(struct master *master)
{
    for (size_t i = 0; i < master->child_count; i++) {
        const struct child *child = &master->children[i];
        if (is_of_phase(master->phase, child) && child->pid > 0)
            (void)kill(child->pid, SIGKILL);
    }
}
