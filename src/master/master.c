/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens sockets, shared memory and sealed configurations, starts the keeper, which makes the
 * ledger, and then the other processes. After that it waits for signals, deaths and messages of
 * children.
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
#include "ipc/metrics.h"
#include "master_state.h"
#include "net/loop.h"
#include "privileges.h"

#define TICK_MS  2000
#define TEXT_MAX 8192

#define LISTENERS_OF_IMAGES (1u << LISTENER_FULL | 1u << LISTENER_MIRROR)

/* ---- ready ---- */

/* Each key comes once in a line, so the addresses are one value. */
static void log_addresses(struct log_line *line, const char *key, const struct listeners *listeners,
                          unsigned kinds)
{
    AUTO_BUF struct buf text;

    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < listeners->count; i++) {
        const struct bound *bound = &listeners->items[i];

        if ((kinds & 1u << bound->kind) != 0)
            buf_printf(&text, "%s%s", buf_bytes(&text).length > 0 ? "," : "", bound->address);
    }
    log_slice(line, key, buf_bytes(&text).length > 0 ? buf_bytes(&text) : SLICE_LITERAL("none"));
}

/* The default comes first. */
static void log_upstreams(struct log_line *line, const struct config *config)
{
    AUTO_BUF struct buf text;
    const struct config_upstream *preferred = config_upstream_default(config);

    buf_init(&text, TEXT_MAX);
    if (preferred)
        buf_append_text(&text, preferred->name);
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];

        if (upstream != preferred)
            buf_printf(&text, "%s%s", buf_bytes(&text).length > 0 ? "," : "", upstream->name);
    }
    log_slice(line, "upstreams",
              buf_bytes(&text).length > 0 ? buf_bytes(&text) : SLICE_LITERAL("none"));
}

static void say_ready(struct master *master)
{
    const char *addresses[LISTENERS_MAX];
    const struct config *config = master->sealed.config;
    size_t count = 0;
    struct log_line line;

    for (size_t i = 0; i < master->listeners.count; i++) {
        if ((LISTENERS_OF_IMAGES & 1u << master->listeners.items[i].kind) != 0)
            addresses[count++] = master->listeners.items[i].address;
    }
    log_begin(&line, LOG_INFO);
    log_addresses(&line, "listen", &master->listeners, LISTENERS_OF_IMAGES);
    log_addresses(&line, "admin", &master->listeners, 1u << LISTENER_ADMIN);
    log_addresses(&line, "control", &master->listeners, 1u << LISTENER_CONTROL);
    log_text(&line, "data", config->storage.path);
    log_text(&line, "config", master->options.config_file ? master->options.config_file : "none");
    log_text(&line, "user", master->options.identity->name);
    log_upstreams(&line, config);
    log_u64(&line, "workers", config->workers);
    log_text(&line, "version", master->options.version);
    log_end(&line, "ready");
    proxy_lines_log(config);
    if (master->options.on_ready)
        master->options.on_ready(addresses, count, master->options.arg);
}

static void on_child_ready(struct child *child)
{
    struct master *master = child->seat->master;

    if (master->phase != PHASE_STARTING)
        return;
    if (role_policy(child->seat->role)->is_first)
        supervise_start_missing(master);
    for (size_t i = 0; i < master->seat_count; i++) {
        const struct seat *seat = &master->seats[i];

        if (!seat->was_ever_ready && !role_policy(seat->role)->is_on_demand)
            return;
    }
    master->phase = PHASE_RUNNING;
    control_socket_open(master);
    control_socket_wait(master);
    say_ready(master);
}

static void on_child_message(struct child *child, enum message_type type, struct slice body)
{
    if (type == MESSAGE_CONTROL)
        control_on_message(child, body);
    else if (type == MESSAGE_CONFIG_JUDGED)
        reload_on_judged(child, body);
}

/* ---- events ---- */

static void on_signal(int signal_number, void *arg)
{
    struct master *master = arg;

    if (signal_number == SIGCHLD) {
        supervise_reap(master);
    } else if (signal_number == SIGHUP) {
        reload_begin(master);
    } else if (signal_number == SIGUSR1) {
        log_say(LOG_INFO, "SIGUSR1: the log is standard error, so there is no file to open again");
    } else if (signal_number == SIGUSR2) {
        log_say(LOG_WARN, "SIGUSR2: this version cannot be upgraded while it runs; restart it");
    } else if (master->phase == PHASE_DRAINING) {
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
    control_socket_tick(master);
    rendezvous_tick(master);
    reload_tick(master);
    (void)secret_files_read(master);
}

static void on_hard_limit(void *arg)
{
    struct master *master = arg;

    log_say(LOG_WARN, "not drained in time (limits.drain_timeout), killing the processes that are "
                      "left; their clients are cut off");
    LIST_EACH (link, &master->children)
        (void)kill(LIST_ITEM(link, struct child, link)->pid, SIGKILL);
    loop_stop(master->loop);
}

static void on_restart(void *arg)
{
    struct seat *seat = arg;

    if (role_policy(seat->role)->is_on_demand)
        control_socket_wait(seat->master);
    else
        supervise_start(seat);
}

/* ---- set-up ---- */

static void add_seat(struct master *master, enum process_role role, unsigned slot)
{
    struct seat *seat = &master->seats[master->seat_count++];

    *seat = (struct seat){.master = master, .role = role, .slot = slot};
    seat->restart = timer_new(master->loop, on_restart, seat);
}

static void add_seats(struct master *master)
{
    for (enum process_role role = ROLE_MASTER + 1; role < ROLES; role++) {
        unsigned count = role_policy(role)->has_workers ? master->options.config->workers : 1;

        for (unsigned slot = 0; slot < count; slot++)
            add_seat(master, role, slot);
    }
}

static int open_all(struct master *master, struct error *err)
{
    int rc = listeners_open(master->options.config, &master->listeners, err);

    if (rc == 0)
        rc = metrics_create(&master->metrics_fd, err);
    if (rc == 0)
        rc = metrics_attach(master->metrics_fd, ROLE_MASTER, 0, 0, err);
    if (rc == 0)
        rc = sealed_config_open(&master->sealed, master->options.config, err);
    return rc;
}

static void close_all(struct master *master)
{
    LIST_EACH (link, &master->children)
        child_free(LIST_ITEM(link, struct child, link));
    for (size_t i = 0; i < master->seat_count; i++)
        timer_free(&master->seats[i].restart);
    rendezvous_forget_all(master);
    control_socket_close(master);
    listeners_close(&master->listeners);
    fd_close(&master->metrics_fd);
    sealed_config_close(&master->sealed);
    sealed_config_close(&master->next);
    timer_free(&master->tick);
    timer_free(&master->hard_limit);
    loop_free(&master->loop);
}

static void prepare(struct master *master)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

    master->loop = loop_new();
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        loop_on_signal(master->loop, signals[i], on_signal, master);
    (void)signal(SIGPIPE, SIG_IGN);
    master->tick = timer_new(master->loop, on_tick, master);
    master->hard_limit = timer_new(master->loop, on_hard_limit, master);
    list_init(&master->children);
    list_init(&master->appointments);
    master->on_child_ready = on_child_ready;
    master->on_child_message = on_child_message;
    add_seats(master);
}

static void start_first(struct master *master)
{
    for (size_t i = 0; i < master->seat_count; i++) {
        if (role_policy(master->seats[i].role)->is_first)
            supervise_start(&master->seats[i]);
    }
}

/* `auto` becomes a number, as it is in the processes' copies. */
static void count_workers(struct config *config)
{
    if (config->workers == 0)
        config->workers = cpu_count() < WORKERS_MAX ? cpu_count() : WORKERS_MAX;
}

int master_run(const struct master_options *options)
{
    struct master *master = NEW(struct master);

    master->options = *options;
    master->sealed.fd = master->sealed.secret_fd = -1;
    master->next.fd = master->next.secret_fd = -1;
    master->metrics_fd = -1;
    count_workers(options->config);
    prepare(master);
    struct error err;
    if (open_all(master, &err) == 0) {
        timer_start(master->tick, TICK_MS);
        start_first(master);
        loop_run(master->loop);
        if (master->status == 0)
            log_say(LOG_INFO, "stopped");
        else
            log_say(LOG_ERROR, "the server could not start; the lines above say why");
    } else {
        log_say(LOG_ERROR, "%s", err.text);
        master->status = 1;
    }
    int status = master->status;
    close_all(master);
    mem_free(master);
    return status;
}
