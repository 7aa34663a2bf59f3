/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the server, role by role in the order of their policies: first the workers finish what
 * their clients wait for, with the help of fetcher and keeper; then the fetcher tells the keeper
 * what it has; then the keeper commits it.
 *
 * The master's own copies of the listening sockets are closed at once. Workers keep theirs for
 * limits.drain_delay and accept what is queued; when the last of them has closed its own, clients
 * are refused.
 *
 *   RUNNING ──► DRAINING, drain_order 1 ──► 2 ──► 3 ──► loop_stop
 *                 each: DRAIN to all children of the role, and on when the last of them is dead
 */
#include <signal.h>

#include "base/log.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "master_state.h"
#include "net/loop.h"

#define AFTER_WORKERS_MS 3000 /* for fetcher and keeper, in addition to the workers' time */

static bool is_being_drained(const struct seat *seat)
{
    return role_policy(seat->role)->drain_order == seat->master->drain_order;
}

bool drain_is_wanted(const struct seat *seat)
{
    const struct master *master = seat->master;

    if (master->phase != PHASE_DRAINING)
        return true;
    /* A worker that dies while workers are drained is not needed again; fetcher and keeper are
     * needed until it is their turn. After a failed start none is needed. */
    return master->status == 0 && role_policy(seat->role)->drain_order > master->drain_order;
}

/* The rest of drain_timeout. After the workers there is always some. */
static uint64_t time_left(const struct master *master)
{
    uint64_t whole = master->sealed.config->limits.drain_timeout;
    uint64_t gone = monotime_since(clock_mono(), master->drain_began);
    uint64_t used = gone < master->drain_delay_ms ? 0 : gone - master->drain_delay_ms;
    uint64_t left = used < whole ? whole - used : 0;

    return master->drain_order == 1 ? left : left + AFTER_WORKERS_MS / 3;
}

/* True: no process of this role lives, and none will start. */
static bool is_over(const struct master *master)
{
    LIST_EACH (link, &master->children) {
        if (is_being_drained(LIST_ITEM(link, struct child, link)->seat))
            return false;
    }
    return true;
}

static void drain_role(struct master *master, unsigned drain_order)
{
    struct message_drain message = {.keeps_admin = 1};

    master->drain_order = drain_order;
    message.delay_ms = drain_order == 1 ? master->drain_delay_ms : 0;
    message.within_ms = time_left(master);
    for (size_t i = 0; i < master->seat_count; i++) {
        struct seat *seat = &master->seats[i];

        if (!is_being_drained(seat))
            continue;
        timer_stop(seat->restart);
        seat->is_closed = seat->is_closed || !seat->current;
    }
    LIST_EACH (link, &master->children) {
        struct child *child = LIST_ITEM(link, struct child, link);

        if (!is_being_drained(child->seat))
            continue;
        child->is_draining = true;
        if (child->line)
            channel_send(child->line, MESSAGE_DRAIN, &message, -1);
    }
}

static unsigned last_order(const struct master *master)
{
    unsigned last = 0;

    for (size_t i = 0; i < master->seat_count; i++) {
        unsigned order = role_policy(master->seats[i].role)->drain_order;

        last = order > last ? order : last;
    }
    return last;
}

void drain_advance(struct master *master)
{
    while (master->phase == PHASE_DRAINING && is_over(master)) {
        if (master->drain_order >= last_order(master)) {
            loop_stop(master->loop);
            return;
        }
        drain_role(master, master->drain_order + 1);
    }
}

void drain_begin(struct master *master)
{
    if (master->phase == PHASE_DRAINING)
        return;
    uint64_t within = master->sealed.config->limits.drain_timeout;
    uint64_t delay = master->sealed.config->limits.drain_delay;
    master->drain_delay_ms = master->phase == PHASE_RUNNING ? delay : 0;
    master->phase = PHASE_DRAINING;
    master->drain_began = clock_mono();
    if (master->status == 0) {
        log_say(LOG_INFO, "draining: clients are refused after %llu ms, requests end %llu ms later",
                (unsigned long long)master->drain_delay_ms, (unsigned long long)within);
    }
    control_socket_close(master);
    listeners_close(&master->listeners);
    timer_start(master->hard_limit, master->drain_delay_ms + within + AFTER_WORKERS_MS);
    drain_role(master, 1);
}

void drain_hurry(struct master *master)
{
    LIST_EACH (link, &master->children) {
        const struct child *child = LIST_ITEM(link, const struct child, link);

        if (is_being_drained(child->seat))
            (void)kill(child->pid, SIGKILL);
    }
}
