/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets, shared memory and sealed configurations first; then the keeper, which makes the ledger;
 * then the others. After that the master only waits: for signals, deaths and pongs.
 */
#include "master/master.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "cpu_count.h"
#include "ipc/channel.h"
#include "master_state.h"
#include "net/loop.h"
#include "privileges.h"

#define TICK_MS 2000

struct child *master_keeper(struct master *master)
{
    return &master->children[0];
}

/* ---- ready ---- */

static void say_ready(struct master *master)
{
    const char *addresses[LISTENERS_MAX];
    size_t count = 0;
    struct log_line line;
    log_begin(&line, LOG_INFO);
    for (size_t i = 0; i < master->listeners.count; i++) {
        const struct bound *bound = &master->listeners.items[i];
        log_text(&line, bound->kind == LISTENER_ADMIN ? "admin" : "listen", bound->address);
        if (bound->kind != LISTENER_ADMIN)
            addresses[count++] = bound->address;
    }
    log_u64(&line, "workers", master->options.config->workers);
    log_text(&line, "version", master->options.version);
    log_end(&line, "ready");
    if (master->options.on_ready != NULL)
        master->options.on_ready(addresses, count, master->options.arg);
}

void master_child_ready(struct master *master, struct child *child)
{
    child_set_state(child, CHILD_READY);
    child->was_ever_ready = true;
    child->unanswered = 0;
    if (master->phase != PHASE_STARTING)
        return;
    if (child == master_keeper(master))
        supervise_start_missing(master);
    for (size_t i = 0; i < master->child_count; i++) {
        if (!master->children[i].was_ever_ready)
            return;
    }
    master->phase = PHASE_RUNNING;
    say_ready(master);
}

/* ---- events ---- */

static void on_signal(int signal_number, void *arg)
{
    struct master *master = arg;
    if (signal_number == SIGCHLD) {
        supervise_reap(master);
    } else if (signal_number == SIGHUP) {
        log_say(LOG_WARN,
                "SIGHUP: reloading is not there yet; restart to change the configuration");
    } else if (master->phase >= PHASE_DRAIN_WORKERS) {
        drain_hurry(master);
    } else {
        drain_begin(master);
        drain_advance(master);
    }
}

static void on_tick(void *arg)
{
    struct master *master = arg;
    timer_start(master->tick, TICK_MS);
    metrics_add_dropped_lines();
    supervise_tick(master);
}

static void on_hard_limit(void *arg)
{
    struct master *master = arg;
    log_say(LOG_WARN, "not drained in time, killing who is left");
    for (size_t i = 0; i < master->child_count; i++) {
        if (master->children[i].pid > 0)
            (void)kill(master->children[i].pid, SIGKILL);
    }
    loop_stop(master->loop);
}

static void on_restart(void *arg)
{
    struct child *child = arg;
    supervise_start(child->owner, child);
}

/* ---- set-up ---- */

static void add_child(struct master *master, enum process_role role, unsigned slot)
{
    struct child *child = &master->children[master->child_count++];
    *child = (struct child){.role = role, .slot = slot, .state = CHILD_DOWN, .owner = master};
    child->restart = timer_new(master->loop, on_restart, child);
}

static int seal_config(const struct config *config, bool with_secrets, int *out_fd,
                       struct error *err)
{
    AUTO_BUF struct buf text;
    buf_init(&text, CONFIG_TEXT_MAX);
    config_print(config, with_secrets, &text);
    if (text.is_over) {
        return error_set(err, ERR_TOO_LARGE, "the configuration is longer than %u bytes",
                         CONFIG_TEXT_MAX);
    }
    return fd_memory_file("configuration", buf_bytes(&text), out_fd, err);
}

static int open_all(struct master *master, struct error *err)
{
    const struct config *config = master->options.config;
    int rc = listeners_open(config, &master->listeners, err);
    if (rc == 0)
        rc = metrics_create(&master->metrics_fd, err);
    if (rc == 0)
        rc = metrics_attach(master->metrics_fd, ROLE_MASTER, 0, err);
    if (rc == 0)
        rc = seal_config(config, false, &master->config_fd, err);
    if (rc == 0)
        rc = seal_config(config, true, &master->secret_config_fd, err);
    return rc;
}

static void close_all(struct master *master)
{
    for (size_t i = 0; i < master->child_count; i++) {
        channel_free(&master->children[i].line);
        timer_free(&master->children[i].restart);
    }
    listeners_close(&master->listeners);
    fd_close(&master->metrics_fd);
    fd_close(&master->config_fd);
    fd_close(&master->secret_config_fd);
    timer_free(&master->tick);
    timer_free(&master->hard_limit);
    loop_free(&master->loop);
}

static void prepare(struct master *master)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    master->loop = loop_new();
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        loop_on_signal(master->loop, signals[i], on_signal, master);
    (void)signal(SIGPIPE, SIG_IGN);
    master->tick = timer_new(master->loop, on_tick, master);
    master->hard_limit = timer_new(master->loop, on_hard_limit, master);
    add_child(master, ROLE_KEEPER, 0);
    add_child(master, ROLE_FETCHER, 0);
    for (unsigned i = 0; i < master->options.config->workers; i++)
        add_child(master, ROLE_WORKER, i);
}

int master_run(const struct master_options *options)
{
    struct config *config = options->config;
    struct master *master = NEW(struct master);
    master->options = *options;
    master->config_fd = master->secret_config_fd = master->metrics_fd = -1;
    if (config->workers == 0)
        config->workers = cpu_count() < WORKERS_MAX ? cpu_count() : WORKERS_MAX;
    privileges_raise_descriptors();
    prepare(master);
    struct error err;
    if (open_all(master, &err) == 0) {
        timer_start(master->tick, TICK_MS);
        supervise_start(master, master_keeper(master));
        loop_run(master->loop);
        log_say(LOG_INFO, "stopped");
    } else {
        log_say(LOG_ERROR, "%s", err.text);
        master->status = 1;
    }
    int status = master->status;
    close_all(master);
    mem_free(master);
    return status;
}
