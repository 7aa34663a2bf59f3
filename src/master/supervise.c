/* SPDX-License-Identifier: Apache-2.0 */
/* Starting processes, hearing from them, noticing that they died or hang, starting them again. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "master_state.h"
#include "net/loop.h"

#define ABORT_AFTER 5 /* pings of 2 s without an answer: SIGABRT, for its core */
#define KILL_AFTER  8 /* … and SIGKILL */
#define CLOSED_FOR  2 /* ticks that a process may take to end when its line is closed */

static void send_shared(struct child *child, enum shared_kind kind, int fd)
{
    struct message_shared message = {.kind = (uint64_t)kind};
    channel_send(child->line, MESSAGE_SHARED, &message, fd);
}

static void give_listeners(const struct master *master, struct child *child)
{
    if (child->role != ROLE_WORKER)
        return;
    for (size_t i = 0; i < master->listeners.count; i++) {
        const struct bound *bound = &master->listeners.items[i];
        struct message_listener message = {.kind = (uint64_t)bound->kind,
                                           .address = slice_of(bound->address)};
        channel_send(child->line, MESSAGE_LISTENER, &message, bound->fd);
    }
}

/* Everything it needs, in the order in which child.c wants it. */
static void give(struct master *master, struct child *child)
{
    struct message_hello hello = {.version = slice_of(master->options.version)};
    struct message_config config = {0};
    struct message_start start = {0};
    bool is_fetcher = child->role == ROLE_FETCHER;
    channel_send(child->line, MESSAGE_HELLO, &hello, -1);
    channel_send(child->line, MESSAGE_CONFIG, &config,
                 is_fetcher ? master->secret_config_fd : master->config_fd);
    send_shared(child, SHARED_METRICS, master->metrics_fd);
    send_shared(child, SHARED_UPLOADS, master->options.uploads_fd);
    give_listeners(master, child);
    rendezvous(master, child);
    channel_send(child->line, MESSAGE_START, &start, -1);
}

/* The shape is channel.h's. NOLINTNEXTLINE(readability-non-const-parameter) */
static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    (void)channel;
    (void)body;
    (void)fd;
    struct child *child = arg;
    if (type == MESSAGE_PONG) {
        child->unanswered = 0;
    } else if (type == MESSAGE_READY && child->state == CHILD_STARTING) {
        master_child_ready(child->owner, child);
    }
}

/* It closes its line when it ends; supervise_tick sees to one that does not end after that. */
static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    struct child *child = arg;
    channel_free(&child->line);
    child->unanswered = 0;
}

void supervise_start(struct master *master, struct child *child)
{
    static const struct channel_handler handler = {on_message, on_closed, NULL};
    CHECK(child->state == CHILD_DOWN && child->line == NULL);
    struct error err;
    int line = -1;
    child->started = clock_mono();
    child->unanswered = 0;
    child->is_stopping = false;
    if (child_spawn(child, master->options.identity, &child->pid, &line, &err) != 0) {
        log_say(LOG_ERROR, "%s", err.text);
        timer_start(child->restart, 1000);
        return;
    }
    child_set_state(child, CHILD_STARTING);
    child->line = channel_new(master->loop, &line, (struct channel_ends){ROLE_MASTER, child->role},
                              &handler, child);
    give(master, child);
}

void supervise_start_missing(struct master *master)
{
    for (size_t i = 0; i < master->child_count; i++) {
        struct child *child = &master->children[i];
        if (child->state == CHILD_DOWN && !timer_is_running(child->restart))
            supervise_start(master, child);
    }
}

/* ---- deaths ---- */

static void log_death(const struct child *child, int status, uint64_t lived_ms, uint64_t delay_ms)
{
    bool is_clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    struct log_line line;
    log_begin(&line, is_clean && child->is_stopping ? LOG_INFO : LOG_ERROR);
    log_text(&line, "role", process_role_name(child->role));
    log_u64(&line, "slot", child->slot);
    log_u64(&line, "pid", (uint64_t)child->pid);
    if (WIFSIGNALED(status)) {
        log_text(&line, "signal", sigabbrev_np(WTERMSIG(status)));
    } else {
        log_u64(&line, "status", (uint64_t)WEXITSTATUS(status));
    }
    log_u64(&line, "lived_ms", lived_ms);
    if (child->is_stopping) {
        log_end(&line, "process ended");
    } else if (delay_ms == 0) {
        log_end(&line, "process died");
    } else {
        log_end(&line, "process died, starts again in %llu ms", (unsigned long long)delay_ms);
    }
}

/* At the server's own start, one that cannot start ends it all. */
static bool is_hopeless(const struct master *master, const struct child *child, int status)
{
    return master->phase == PHASE_STARTING && !child->was_ever_ready && WIFEXITED(status) &&
           WEXITSTATUS(status) == CHILD_CANNOT_START;
}

static void on_death(struct master *master, struct child *child, int status)
{
    uint64_t lived_ms = monotime_since(clock_mono(), child->started);
    bool was_ready = child->state == CHILD_READY;
    bool is_hopeless_now = is_hopeless(master, child, status);
    uint64_t delay_ms = backoff_after_death(&child->backoff, lived_ms, was_ready);
    log_death(child, status, lived_ms, delay_ms);
    metrics_slot_died(child->role, child->slot);
    channel_free(&child->line);
    child->pid = 0;
    child_set_state(child, CHILD_DOWN);
    if (is_hopeless_now) {
        master->status = 1;
        drain_begin(master);
    }
    if (!drain_is_wanted(master, child)) {
        child_set_state(child, CHILD_GONE);
    } else {
        timer_start(child->restart, delay_ms);
    }
    drain_advance(master);
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
        for (size_t i = 0; i < master->child_count; i++) {
            if (master->children[i].pid == pid)
                on_death(master, &master->children[i], status);
        }
    }
}

/* ---- hanging ---- */

static void ping(struct master *master, struct child *child)
{
    struct message_ping message = {.number = ++master->ping_number};
    char name[64];
    child_print(child, name);
    child->unanswered++;
    if (child->unanswered == ABORT_AFTER + 1) {
        log_say(LOG_ERROR, "%s does not answer, aborting it", name);
        (void)kill(child->pid, SIGABRT);
    } else if (child->unanswered > KILL_AFTER) {
        (void)kill(child->pid, SIGKILL);
    } else if (child->unanswered <= ABORT_AFTER) {
        channel_send(child->line, MESSAGE_PING, &message, -1);
    }
}

void supervise_tick(struct master *master)
{
    for (size_t i = 0; i < master->child_count; i++) {
        struct child *child = &master->children[i];
        if (child->state == CHILD_READY && child->line != NULL) {
            ping(master, child);
        } else if (child->pid > 0 && child->line == NULL && !child->is_stopping &&
                   child->unanswered++ >= CLOSED_FOR) {
            (void)kill(child->pid, SIGKILL);
        }
    }
}
