/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker as an object: what it owns, its fronts and listeners, and how it ends.
 *
 *   running → not ready (for limits.drain_delay) → draining (no new connections, running requests
 *   finish) → drained
 */
#include "worker/worker.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "answer_body.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "connection_limit.h"
#include "endpoints.h"
#include "fetcher_client.h"
#include "file_check.h"
#include "follow.h"
#include "front.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "listing.h"
#include "manifest_budget.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/stream.h"
#include "pull_blob.h"
#include "question.h"
#include "recency.h"
#include "store/ledger.h"
#include "worker_state.h"

_Static_assert(CONFIG_HEADER_FIELDS_MAX == HTTP_HEADERS_MAX, "limits.header_fields");

#define DRAIN_CHECK_MS 20
#define GAUGE_MS       1000
#define KEEPER_CREDITS 256
#define IDLE_MS        10000 /* then a steward ends; the master starts another for who comes next */
#define IDLE_DRAIN_MS  5000

static struct front *front_of(struct worker *worker, enum listener_kind kind)
{
    CHECK(kind >= LISTENER_FULL && kind < LISTENER_KINDS);
    return &worker->fronts[kind - 1];
}

/* ---- connections ---- */

/* Connections of clients: those of the admin listener do not count. */
static unsigned connections(const struct worker *worker)
{
    unsigned count = 0;

    for (int kind = LISTENER_FULL; kind < LISTENER_KINDS; kind++) {
        if (kind != LISTENER_ADMIN)
            count += http_server_connections(worker->fronts[kind - 1].server);
    }
    return count;
}

static void on_gauge_timer(void *arg)
{
    struct worker *worker = arg;
    unsigned count = connections(worker);

    metrics_set(METRIC_connections, count);
    if (count > 0)
        timer_start(worker->gauge_timer, GAUGE_MS);
}

/* Full for this worker's descriptors, or for all workers together; what other workers closed in the
 * last second may still count. The admin listener has a share of its own. */
static bool is_full(const struct front *front)
{
    uint64_t limit = front->worker->config->limits.connections;
    unsigned own_limit = front->worker->settings.connections_max;

    if (front->kind == LISTENER_ADMIN || front->kind == LISTENER_CONTROL)
        return http_server_connections(front->server) >= own_limit;
    return connections(front->worker) >= own_limit ||
           metrics_sum(METRIC_connections, ROLE_WORKER) >= limit;
}

/* Who has connected to the administrator's socket: the kernel says it. */
static const char *account_print(int fd, char out[ADDRESS_TEXT_SIZE])
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t length = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return "unix";
    (void)snprintf(out, ADDRESS_TEXT_SIZE, "uid:%u", (unsigned)peer.uid);
    return out;
}

static void on_accept(int *fd, const struct stream_kind *stream, const char *peer, void *arg)
{
    struct front *front = arg;
    const struct trust *trust = &front->worker->trust;

    if (stream == &stream_proxied && trust_is_set(trust) && !trust_has(trust, peer)) {
        log_say(LOG_INFO,
                "connection of %s closed: it is not in trusted_proxies, and this address expects "
                "the PROXY protocol",
                peer);
        return;
    }
    char account[ADDRESS_TEXT_SIZE];
    if (front->kind == LISTENER_CONTROL)
        peer = account_print(*fd, account);
    metrics_set(METRIC_connections, connections(front->worker));
    http_server_adopt(front->server, stream, fd, peer, is_full(front));
    metrics_set(METRIC_connections, connections(front->worker));
    if (!timer_is_running(front->worker->gauge_timer))
        timer_start(front->worker->gauge_timer, GAUGE_MS);
}

/* The fair share is one of what is open in all workers now. */
static bool should_pause(void *arg)
{
    const struct front *front = arg;
    const struct worker *worker = front->worker;
    unsigned mine = connections(worker);

    metrics_set(METRIC_connections, mine);
    if (worker->options.workers <= 1)
        return false;
    uint64_t all = metrics_sum(METRIC_connections, ROLE_WORKER);
    return mine > all / worker->options.workers;
}

void worker_listen(struct worker *worker, int *fd, enum listener_kind kind, const char *address,
                   bool is_proxied)
{
    CHECK(worker->listener_count < LISTENERS_MAX);
    struct front *front = front_of(worker, kind);
    log_say(LOG_DEBUG, "serving %s", address);
    worker->listener_kinds[worker->listener_count] = kind;
    worker->listeners[worker->listener_count++] =
        listener_new(worker->options.loop, fd, is_proxied ? &stream_proxied : &stream_plain,
                     on_accept, should_pause, front);
}

void worker_adopt(struct worker *worker, int *fd, enum listener_kind kind, const char *peer)
{
    http_server_adopt(front_of(worker, kind)->server, &stream_plain, fd, peer, false);
}

/* ---- life ---- */

static bool is_idle(const struct worker *worker)
{
    return connections(worker) == 0 && worker->jobs == 0 &&
           keeper_client_pending(worker->keeper) == 0;
}

/* At most twice the time goes by before it ends. */
static void on_idle_timer(void *arg)
{
    struct worker *worker = arg;

    if (is_idle(worker) && worker->requests == worker->ending.requests_before)
        worker_drain(worker, &(struct message_drain){.within_ms = IDLE_DRAIN_MS});
    else
        timer_start(worker->ending.idle_timer, IDLE_MS);
    worker->ending.requests_before = worker->requests;
}

static void warn_of_connection_limit(const struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    uint64_t setting = worker->config->limits.connections;
    uint64_t descriptors = fd_limit();
    uint64_t limit = connection_limit(setting, descriptors);

    /* Nobody has asked for the default. */
    if (options->slot == 0 && limit * options->workers < setting &&
        !config_is_initial(worker->config, "limits.connections")) {
        log_say(LOG_WARN,
                "limits.connections is %llu, but a process may have only %llu descriptors: each "
                "worker takes at most %llu connections",
                (unsigned long long)setting, (unsigned long long)descriptors,
                (unsigned long long)limit);
    }
}

static void fill_settings(struct worker *worker)
{
    const struct config *config = worker->config;

    worker->settings = (struct http_settings){
        .limits = {.line_max = config->limits.request_line,
                   .head_max = config->limits.request_head,
                   .value_max = config->limits.header_value,
                   .range_max = config->limits.range_value,
                   .fields_max = (unsigned)config->limits.header_fields},
        .handshake_timeout_ms = config->limits.head_timeout,
        .head_timeout_ms = config->limits.head_timeout,
        .body_idle_timeout_ms = config->limits.body_timeout,
        .body_grace_ms = config->limits.body_grace,
        .body_rate = config->limits.body_rate,
        .keep_alive_timeout_ms = config->limits.keep_alive_timeout,
        .send_timeout_ms = config->limits.send_timeout,
        .connections_max = (unsigned)connection_limit(config->limits.connections, fd_limit()),
    };
}

static int read_number(uint64_t *out, struct error *err, void *arg)
{
    struct worker *worker = arg;
    int rc = ledger_commit_number(worker_read(worker), out, err);

    worker_read_end(worker);
    return rc;
}

static struct keeper_client *new_keeper_client(struct worker *worker)
{
    return keeper_client_new(&(struct keeper_client_options){
        .loop = worker->options.loop,
        .role = worker->options.is_steward ? ROLE_STEWARD : ROLE_WORKER,
        .credits = KEEPER_CREDITS,
        .read_number = read_number,
        .arg = worker,
    });
}

struct worker *worker_new(const struct worker_options *options)
{
    struct worker *worker = NEW(struct worker);

    worker->options = *options;
    worker->options.config = NULL; /* worker->config is the newest */
    worker->config = config_ref(options->config);
    worker->endpoints = endpoints_all(options);
    fill_settings(worker);
    trust_fill(&worker->trust, &worker->config->trusted_proxies);
    warn_of_connection_limit(worker);
    worker->reader = ledger_reader_new(options->ledger);
    worker->fetcher = fetcher_client_new(options->loop, options->config->fetch.questions);
    worker->keeper = new_keeper_client(worker);
    worker->questions = question_table_new(worker);
    worker->follows = follow_table_new(worker, pull_blob_again);
    worker->file_checks = file_check_table_new(worker);
    worker->listings = listing_queue_new();
    worker->recency = recency_new(worker);
    worker->manifest_budget =
        manifest_budget_new(options->loop, options->config->limits.manifest_memory);
    worker->answers = answer_bodies_new(options->config->limits.answer_memory);
    worker->large_key = pool_new_key();
    worker->gauge_timer = timer_new(options->loop, on_gauge_timer, worker);
    worker->ending.idle_timer = timer_new(options->loop, on_idle_timer, worker);
    if (options->is_steward)
        timer_start(worker->ending.idle_timer, IDLE_MS);
    for (int kind = LISTENER_FULL; kind < LISTENER_KINDS; kind++) {
        struct front *front = front_of(worker, (enum listener_kind)kind);

        front->worker = worker;
        front->kind = (enum listener_kind)kind;
        front->server =
            http_server_new(options->loop, options->pool, &worker->settings, &front_handler, front);
    }
    return worker;
}

void worker_set_config(struct worker *worker, struct config *config)
{
    struct config *old = worker->config;

    worker->config = config_ref(config);
    fill_settings(worker);
    trust_fill(&worker->trust, &config->trusted_proxies);
    for (int kind = LISTENER_FULL; kind < LISTENER_KINDS; kind++) {
        http_server_set_settings(front_of(worker, (enum listener_kind)kind)->server,
                                 &worker->settings);
    }
    if (config->limits.connections != old->limits.connections)
        warn_of_connection_limit(worker);
    config_unref(&old);
    fetcher_client_set_maximum(worker->fetcher, config->fetch.questions);
    manifest_budget_set_total(worker->manifest_budget, config->limits.manifest_memory);
    answer_bodies_set_limit(worker->answers, config->limits.answer_memory);
}

/* The owners of jobs in the pool and of calls to the keeper live until these have ended. */
static void finish_work(struct worker *worker)
{
    while (worker->jobs > 0 || keeper_client_pending(worker->keeper) > 0) {
        keeper_client_cancel(worker->keeper);
        if (worker->jobs == 0)
            continue;
        struct pollfd done = {.fd = pool_descriptor(worker->options.pool), .events = POLLIN};
        (void)poll(&done, 1, 10);
        pool_run_done(worker->options.pool);
    }
}

void worker_free(struct worker **worker)
{
    if (!*worker)
        return;
    struct worker *old = TAKE(*worker);
    for (unsigned i = 0; i < old->listener_count; i++)
        listener_free(&old->listeners[i]);
    for (unsigned i = 0; i < LISTENER_KINDS - 1; i++)
        http_server_free(&old->fronts[i].server);
    file_check_cancel(old->file_checks);
    finish_work(old);
    file_check_table_free(&old->file_checks);
    follow_table_free(&old->follows);
    question_table_free(&old->questions);
    listing_queue_free(&old->listings);
    recency_free(&old->recency);
    manifest_budget_free(&old->manifest_budget);
    answer_bodies_free(&old->answers);
    keeper_client_free(&old->keeper);
    fetcher_client_free(&old->fetcher);
    ledger_reader_free(&old->reader);
    config_unref(&old->config);
    timer_free(&old->ending.timer);
    timer_free(&old->gauge_timer);
    timer_free(&old->ending.idle_timer);
    while (old->block_count > 0)
        mem_free(old->blocks[--old->block_count]);
    mem_free(old);
}

void worker_set_peer(struct worker *worker, enum process_role role, int *fd)
{
    if (role == ROLE_FETCHER)
        fetcher_client_set_channel(worker->fetcher, fd);
    else if (role == ROLE_KEEPER)
        keeper_client_set_channel(worker->keeper, fd);
}

void worker_orphan(struct worker *worker)
{
    keeper_client_set_last(worker->keeper);
    fetcher_client_set_last(worker->fetcher);
}

/* ---- drain ---- */

static void close_listeners(struct worker *worker, bool keeps_admin)
{
    for (unsigned i = 0; i < worker->listener_count; i++) {
        if (!keeps_admin || worker->listener_kinds[i] != LISTENER_ADMIN)
            listener_drain(worker->listeners[i]);
    }
}

/* Clients are accepted for the last time before their connections are told to end. */
static void stop_serving(struct worker *worker)
{
    worker->ending.has_stopped_serving = true;
    close_listeners(worker, true);
    for (unsigned i = 0; i < LISTENER_KINDS - 1; i++)
        http_server_drain(worker->fronts[i].server);
}

static void on_drain_timer(void *arg)
{
    struct worker *worker = arg;
    uint64_t now = clock_mono().ms;

    if (now < worker->ending.delay_until_ms) {
        timer_start(worker->ending.timer, worker->ending.delay_until_ms - now);
        return;
    }
    if (!worker->ending.has_stopped_serving)
        stop_serving(worker);
    if (!is_idle(worker) && clock_mono().ms < worker->ending.until_ms) {
        timer_start(worker->ending.timer, DRAIN_CHECK_MS);
        return;
    }
    if (worker->options.on_drained)
        worker->options.on_drained(worker->options.arg);
}

void worker_drain(struct worker *worker, const struct message_drain *how)
{
    uint64_t delay_until = clock_mono().ms + how->delay_ms;
    uint64_t until = delay_until + how->within_ms;

    if (!worker->ending.is_begun) {
        worker->ending.is_begun = true;
        worker->ending.delay_until_ms = delay_until;
        worker->ending.until_ms = until;
        worker->ending.timer = timer_new(worker->options.loop, on_drain_timer, worker);
    }
    if (delay_until < worker->ending.delay_until_ms)
        worker->ending.delay_until_ms = delay_until;
    if (until < worker->ending.until_ms)
        worker->ending.until_ms = until;
    if (!how->keeps_admin)
        close_listeners(worker, false);
    timer_start(worker->ending.timer, 0);
}
