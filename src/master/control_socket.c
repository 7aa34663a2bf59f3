/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administrator's socket. While nobody serves it the master waits for somebody to connect, and
 * accepts nothing itself: the steward that it starts takes the connection from the queue. A steward
 * that has been idle ends, and the master waits again.
 *
 *   waiting ──somebody connects──► a steward serves ──it ends, or died──► waiting
 */
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "master_state.h"
#include "net/loop.h"

static const struct bound *find_socket(const struct master *master)
{
    for (size_t i = 0; i < master->listeners.count; i++) {
        if (master->listeners.items[i].kind == LISTENER_CONTROL)
            return &master->listeners.items[i];
    }
    return NULL;
}

static struct seat *find_seat(struct master *master)
{
    for (size_t i = 0; i < master->seat_count; i++) {
        if (role_policy(master->seats[i].role)->is_on_demand)
            return &master->seats[i];
    }
    return NULL;
}

static void on_connection(unsigned ready, void *arg)
{
    struct master *master = arg;
    struct seat *seat = find_seat(master);

    (void)ready;
    watch_free(&master->control_watch);
    if (!seat->current && !seat->is_closed)
        supervise_start(seat);
}

void control_socket_wait(struct master *master)
{
    const struct bound *bound = find_socket(master);

    if (!bound || master->control_watch || find_seat(master)->current ||
        master->phase != PHASE_RUNNING)
        return;
    master->control_watch = watch_new(master->loop, bound->fd, on_connection, master);
    watch_set(master->control_watch, WATCH_READ);
}

void control_socket_open(struct master *master)
{
    const struct config *config = master->sealed.config;
    char path[CONFIG_SOCKET_SIZE];
    struct error err;
    int rc = config_control_path(config, path, &err);

    if (rc == -ERR_NOT_FOUND)
        return;
    if (rc == 0) {
        rc =
            listeners_add_control(&master->listeners, path, config, master->options.identity, &err);
    }
    if (rc != 0 && !master->is_control_missed) {
        log_say(LOG_WARN, "%s; the administrator's commands do not work until it is there",
                err.text);
        master->is_control_missed = true;
    } else if (rc == 0 && master->is_control_missed) {
        log_say(LOG_INFO, "control.address: listening on %s now", path);
        master->is_control_missed = false;
    }
}

void control_socket_tick(struct master *master)
{
    if (!master->is_control_missed || master->phase != PHASE_RUNNING)
        return;
    control_socket_open(master);
    control_socket_wait(master);
}

void control_socket_close(struct master *master)
{
    watch_free(&master->control_watch);
}
