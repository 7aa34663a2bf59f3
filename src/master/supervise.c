/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting processes, noticing that they died or hang, and filling their seats again.
 *
 * A process that hangs (it does not become READY, or does not answer PINGs) gets SIGABRT, for its
 * core, and SIGKILL when that does not end it. Writing a core can take long, so a role that may
 * overlap has its successor at once; for the others the seat waits for the death.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "ipc/metrics.h"
#include "master_state.h"
#include "net/loop.h"

/* How long a child may take, in ticks of 2 s. */
#define READY_WITHIN 30 /* the keeper reads what was left under uploads/ before it is ready */
#define PONG_WITHIN  5
#define END_WITHIN   3 /* after SIGABRT, or after its line was closed */

#define SPAWN_AGAIN_MS 1000
#define FAILURES_SAID  60 /* one of so many is logged */

/* ---- starting ---- */

static void send_shared(struct child *child, enum shared_kind kind, int fd)
{
    struct message_shared message = {.kind = (uint64_t)kind};

    channel_send(child->line, MESSAGE_SHARED, &message, fd);
}

static void send_listeners(const struct master *master, struct child *child)
{
    unsigned kinds = role_policy(child->seat->role)->listeners;

    for (size_t i = 0; i < master->listeners.count; i++) {
        const struct bound *bound = &master->listeners.items[i];

        if ((kinds & 1u << bound->kind) == 0)
            continue;
        struct message_listener message = {.kind = (uint64_t)bound->kind,
                                           .address = slice_of(bound->address),
                                           .is_proxied = bound->is_proxied};

        channel_send(child->line, MESSAGE_LISTENER, &message, bound->fd);
    }
}

/* Sends everything that the child needs, in the order that child.c expects. */
static void equip(struct master *master, struct child *child)
{
    struct message_hello hello = {.version = slice_of(master->options.version),
                                  .protocol = MESSAGE_PROTOCOL,
                                  .generation = child->generation};
    struct message_start start = {.message_reserved = 0};

    channel_send(child->line, MESSAGE_HELLO, &hello, -1);
    sealed_config_send(master, child, &master->sealed);
    send_shared(child, SHARED_METRICS, master->metrics_fd);
    send_shared(child, SHARED_UPLOADS, master->options.uploads_fd);
    send_listeners(master, child);
    rendezvous(master, child);
    channel_send(child->line, MESSAGE_START, &start, -1);
}

/* The line after "process died", so that a reader of the log knows that it is over. */
static void log_back(const struct child *child)
{
    struct log_line line;

    log_begin(&line, LOG_INFO);
    log_text(&line, "process", process_role_name(child->seat->role));
    log_u64(&line, "number", child->seat->slot);
    log_u64(&line, "pid", (uint64_t)child->pid);
    log_end(&line, "process is back");
}

static void on_line_message(struct channel *channel, enum message_type type, struct slice body,
                            /* The shape is channel.h's. NOLINTNEXTLINE */
                            int *fd, void *arg)
{
    (void)channel;
    (void)fd;
    struct child *child = arg;
    struct master *master = child->seat->master;
    if (child->state == CHILD_ENDING)
        return;
    if (type == MESSAGE_PONG) {
        child->ticks = 0;
    } else if (type == MESSAGE_READY && child->state == CHILD_STARTING) {
        child_set_state(child, CHILD_READY);
        child->was_ready = true;
        if (child->seat->was_ever_ready)
            log_back(child);
        child->seat->was_ever_ready = true;
        master->on_child_ready(child);
    } else {
        master->on_child_message(child, type, body);
    }
}

/* It closes its line when it ends; supervise_tick kills one that does not end after that. */
static void on_line_closed(struct channel *channel, void *arg)
{
    (void)channel;
    struct child *child = arg;
    channel_free(&child->line);
    if (child->state != CHILD_ENDING)
        child_set_state(child, CHILD_ENDING);
}

static void on_line_lied(struct channel *channel, void *arg)
{
    (void)channel;
    struct child *child = arg;
    channel_free(&child->line);
    supervise_kill(child, "sent a malformed message");
}

/* Does a living child of the seat have the block of metrics that the next one would use? */
static bool is_block_in_use(const struct seat *seat)
{
    LIST_EACH (link, &seat->master->children) {
        const struct child *child = LIST_ITEM(link, const struct child, link);

        if (child->seat == seat &&
            child->generation % METRICS_GENERATIONS == seat->generations % METRICS_GENERATIONS)
            return true;
    }
    return false;
}

void supervise_start(struct seat *seat)
{
    static const struct channel_handler handler = {
        .on_message = on_line_message, .on_closed = on_line_closed, .on_lied = on_line_lied};
    struct master *master = seat->master;
    struct child *child = NULL;
    int line = -1;
    struct error err;

    CHECK(!seat->current && !seat->is_closed);
    if (is_block_in_use(seat)) {
        timer_start(seat->restart, SPAWN_AGAIN_MS);
        return;
    }
    if (child_spawn(seat, master->options.identity, ++master->ids, &child, &line, &err) != 0) {
        if (seat->failures++ % FAILURES_SAID == 0) {
            log_say(LOG_ERROR, "cannot start %s %u, trying again each second: %s",
                    process_role_name(seat->role), seat->slot, err.text);
        }
        timer_start(seat->restart, SPAWN_AGAIN_MS);
        return;
    }
    seat->failures = 0;
    seat->current = child;
    list_append(&master->children, &child->link);
    child->line = channel_new(master->loop, &line, (struct channel_ends){ROLE_MASTER, seat->role},
                              &handler, child);
    equip(master, child);
}

void supervise_start_missing(struct master *master)
{
    for (size_t i = 0; i < master->seat_count; i++) {
        struct seat *seat = &master->seats[i];

        if (!seat->current && !seat->is_closed && !timer_is_running(seat->restart) &&
            !role_policy(seat->role)->is_on_demand)
            supervise_start(seat);
    }
}

/* ---- deaths ---- */

/* It did what it was told to, or what one that is started on demand does when it is idle. */
static bool has_ended(const struct child *child, int status)
{
    bool may_end = child->is_draining || role_policy(child->seat->role)->is_on_demand;

    return may_end && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void log_death(const struct child *child, int status, uint64_t lived_ms,
                      const uint64_t *delay_ms)
{
    bool is_clean = has_ended(child, status);
    struct log_line line;

    log_begin(&line, !is_clean ? LOG_ERROR : child->is_draining ? LOG_INFO : LOG_DEBUG);
    log_text(&line, "process", process_role_name(child->seat->role));
    log_u64(&line, "number", child->seat->slot);
    log_u64(&line, "pid", (uint64_t)child->pid);
    if (WIFSIGNALED(status))
        log_text(&line, "signal", sigabbrev_np(WTERMSIG(status)));
    else
        log_u64(&line, "status", (uint64_t)WEXITSTATUS(status));
    log_u64(&line, "lived_ms", lived_ms);
    if (child->is_draining || is_clean)
        log_end(&line, "process ended");
    else if (!delay_ms)
        log_end(&line, "process died, its successor is there already");
    else if (*delay_ms == 0)
        log_end(&line, "process died");
    else
        log_end(&line, "process died, starts again in %llu ms", (unsigned long long)*delay_ms);
}

static bool cannot_start(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == CHILD_CANNOT_START;
}

/* At the server's own start, one that cannot start ends it all. */
static bool is_hopeless(const struct seat *seat, int status)
{
    return seat->master->phase == PHASE_STARTING && !seat->was_ever_ready && cannot_start(status);
}

static void on_death(struct child *child, int status)
{
    struct seat *seat = child->seat;
    struct master *master = seat->master;
    uint64_t lived_ms = monotime_since(clock_mono(), child->started);
    bool is_current = seat->current == child;
    uint64_t delay_ms = is_current && !has_ended(child, status)
                            ? backoff_after_death(&seat->backoff, lived_ms,
                                                  child->was_ready && !cannot_start(status))
                            : 0;

    log_death(child, status, lived_ms, is_current ? &delay_ms : NULL);
    metrics_slot_died(seat->role, seat->slot, child->generation);
    child_free(child);
    if (is_current)
        seat->current = NULL;
    if (is_hopeless(seat, status)) {
        master->status = 1;
        drain_begin(master);
    }
    seat->is_closed = seat->is_closed || !drain_is_wanted(seat);
    if (is_current && !seat->is_closed)
        timer_start(seat->restart, delay_ms);
    drain_advance(master);
}

static struct child *find_pid(struct master *master, pid_t pid)
{
    LIST_EACH (link, &master->children) {
        struct child *child = LIST_ITEM(link, struct child, link);

        if (child->pid == pid)
            return child;
    }
    return NULL;
}

void supervise_reap(struct master *master)
{
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid < 0 && errno == EINTR)
            continue;
        if (pid <= 0)
            return;
        struct child *child = find_pid(master, pid);
        if (child)
            on_death(child, status);
    }
}

/* ---- hanging ---- */

void supervise_kill(struct child *child, const char *why)
{
    char name[64];

    child_print(child, name);
    log_say(LOG_ERROR, "%s %s, killing it", name, why);
    if (child->state != CHILD_ENDING)
        child_set_state(child, CHILD_ENDING);
    (void)kill(child->pid, SIGKILL);
}

static void abort_child(struct child *child, const char *why)
{
    struct seat *seat = child->seat;
    char name[64];

    child_print(child, name);
    log_say(LOG_ERROR, "%s %s, aborting it", name, why);
    child_set_state(child, CHILD_ENDING);
    (void)kill(child->pid, SIGABRT);
    if (seat->current != child || !role_policy(seat->role)->may_overlap || !drain_is_wanted(seat))
        return;
    seat->current = NULL;
    supervise_start(seat);
}

static void ping(struct child *child)
{
    struct master *master = child->seat->master;
    struct message_ping message = {.number = ++master->ping_number};

    channel_send(child->line, MESSAGE_PING, &message, -1);
}

static void tick_child(struct child *child)
{
    child->controls = 0;
    child->ticks++;
    switch (child->state) {
    case CHILD_STARTING:
        if (child->ticks > READY_WITHIN || FAILPOINT("master.start_is_late"))
            abort_child(child, "did not become ready");
        break;
    case CHILD_READY:
        if (child->ticks > PONG_WITHIN)
            abort_child(child, "does not answer");
        else
            ping(child);
        break;
    case CHILD_ENDING:
        /* A child that drains may close its line early; it has time until the hard limit. */
        if (child->ticks >= END_WITHIN && !child->is_draining)
            (void)kill(child->pid, SIGKILL);
        break;
    case CHILD_STATES:
        break;
    }
}

void supervise_tick(struct master *master)
{
    LIST_EACH (link, &master->children)
        tick_child(LIST_ITEM(link, struct child, link));
}
