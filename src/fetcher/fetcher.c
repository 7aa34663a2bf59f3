/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The role's channels, and what each message starts. Flights (for blobs) and asks (for everything
 * else) do the work.
 *
 * The gate: the fetcher answers nothing before the keeper has applied all that the fetcher before
 * this one sent (BARRIER) and the leftover spools are listed, or five seconds without a keeper have
 * passed. JOINs that come earlier wait.
 */
#include "fetcher/fetcher.h"

#include "absent.h"
#include "ask.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pool.h"
#include "block_pool.h"
#include "config/config.h"
#include "flight.h"
#include "follower.h"
#include "ipc/channel.h"
#include "ipc/keeper_client.h"
#include "ipc/message.h"
#include "ipc/metrics.h"
#include "login.h"
#include "lookup.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "oci/name.h"
#include "role.h"
#include "spool_index.h"
#include "store/ledger.h"
#include "trim.h"
#include "upstream.h"

#define GATE_WAIT_MS          5000
#define JOIN_MAX              (64ul * 1024)
#define KEEPER_CREDITS        1024
#define KEEPER_UNANSWERED_MAX 10000

struct waiting_join { /* a JOIN that came before the gate opened */
    struct list link;
    struct worker_link *worker;
    uint64_t request;
    struct buf body;
};

/* ---- joins ---- */

static bool is_known_kind(uint64_t kind)
{
    return kind >= JOIN_BLOB && kind <= JOIN_PRESENCE;
}

static int check_join(const struct message_join *join, struct error *err)
{
    bool wants_digest =
        join->kind != JOIN_TAG && join->kind != JOIN_TAGS_LIST && join->kind != JOIN_PRESENCE;

    if (!is_known_kind(join->kind))
        return error_set(err, ERR_UNSUPPORTED, "a JOIN of an unknown kind");
    if (!name_is_valid(join->repository))
        return error_set(err, ERR_INVALID, "not a repository name");
    if (join->kind == JOIN_TAG && !tag_is_valid(join->reference))
        return error_set(err, ERR_INVALID, "not a tag");
    if (join->kind == JOIN_PRESENCE && join->reference.length > 0 && !tag_is_valid(join->reference))
        return error_set(err, ERR_INVALID, "not a tag");
    if (wants_digest && join->digest.algorithm != HASH_SHA256 &&
        join->digest.algorithm != HASH_SHA512)
        return error_set(err, ERR_INVALID, "not a digest");
    return 0;
}

static void join_blob(struct fetcher *fetcher, struct follower *follower,
                      const struct message_join *join, struct upstream *upstream)
{
    struct lookup lookup = {
        .fetcher = fetcher,
        .upstream = upstream->config,
        .repository = join->repository,
        .is_own_only = join->is_check != 0,
    };
    bool is_damaged = false;
    enum visible visible = lookup_blob(&lookup, &join->digest, &is_damaged);

    if (is_damaged)
        flight_forget_stored(fetcher, &join->digest, upstream);
    switch (visible) {
    case VISIBLE_HERE:
        follower_here(&follower);
        break;
    case VISIBLE_HIDDEN: /* the bytes are here: only the proof is missing that this repository has
                            them */
        ask_join(fetcher, follower, join, upstream);
        break;
    case VISIBLE_ABSENT:
        flight_join(fetcher, follower, join, upstream);
        break;
    }
}

static void on_worker_join(struct worker_link *worker, const struct message_join *join)
{
    struct fetcher *fetcher = worker->fetcher;
    struct upstream *upstream = NULL;
    struct error err;

    if (fetcher->is_draining) {
        error_set(&err, ERR_BUSY, "the fetcher is shutting down");
        worker_link_refuse(worker, join->request, &err);
        return;
    }
    if (check_join(join, &err) != 0) {
        worker_link_refuse(worker, join->request, &err);
        return;
    }
    upstream = upstream_find(fetcher, join->origin);
    if (!upstream) {
        error_set(&err, ERR_NOT_FOUND, "no such upstream");
        worker_link_refuse(worker, join->request, &err);
        return;
    }
    struct follower *follower = follower_new(worker, join->request);
    if (!follower) {
        error_set(&err, ERR_INTERNAL, "another request of this worker has the same number");
        worker_link_refuse(worker, join->request, &err);
        return;
    }
    if (join->kind == JOIN_BLOB)
        join_blob(fetcher, follower, join, upstream);
    else
        ask_join(fetcher, follower, join, upstream);
}

/* ---- the gate ---- */

static void waiting_free(struct waiting_join *waiting)
{
    list_remove(&waiting->link);
    buf_cleanup(&waiting->body);
    mem_free(waiting);
}

static void wait_for_gate(struct worker_link *worker, uint64_t request, struct slice body)
{
    struct waiting_join *waiting = NEW(struct waiting_join);

    waiting->worker = worker;
    waiting->request = request;
    buf_init(&waiting->body, JOIN_MAX);
    buf_append_slice(&waiting->body, body);
    list_append(&worker->fetcher->waiting, &waiting->link);
}

/* Forget one waiting JOIN of a worker, or (request NULL) all of them. */
static void forget_waiting(struct worker_link *worker, const uint64_t *request)
{
    LIST_EACH (link, &worker->fetcher->waiting) {
        struct waiting_join *waiting = LIST_ITEM(link, struct waiting_join, link);

        if (waiting->worker == worker && (!request || waiting->request == *request))
            waiting_free(waiting);
    }
}

static void on_spools_scanned(struct fetcher *fetcher)
{
    fetcher->is_open = true;

    while (!list_is_empty(&fetcher->waiting)) {
        struct waiting_join *waiting = LIST_ITEM(fetcher->waiting.next, struct waiting_join, link);
        struct message_join join;
        struct error err;

        if (message_decode(MESSAGE_JOIN, buf_bytes(&waiting->body), &join, &err) == 0)
            on_worker_join(waiting->worker, &join);
        waiting_free(waiting);
    }
}

/* Called by the first BARRIER, or by the timer; the second call does nothing. */
static void open_gate(struct fetcher *fetcher)
{
    if (fetcher->is_opening)
        return;
    fetcher->is_opening = true;
    timer_stop(fetcher->gate);
    spool_index_scan(fetcher->spools, on_spools_scanned);
}

static void on_gate_timer(void *arg)
{
    log_say(LOG_WARN, "no keeper after %d ms: answering without it", GATE_WAIT_MS);
    open_gate(arg);
}

/* ---- workers ---- */

/* Our own processes send no such messages: a worker that does is broken, or not ours any more. */
static void report_liar(const struct worker_link *worker)
{
    const struct fetcher_options *options = &worker->fetcher->options;

    if (options->ask_master)
        options->ask_master(CONTROL_PEER_LIED, worker->id, options->arg);
}

static void report_malformed(const struct worker_link *worker, const struct error *err)
{
    log_say(LOG_ERROR, "worker %u: %s", worker->slot, err->text);
    report_liar(worker);
}

static void on_worker_message(struct channel *channel, enum message_type type, struct slice body,
                              int *fd, void *arg)
{
    struct worker_link *worker = arg;
    struct error err;

    (void)channel;
    fd_close(fd); /* workers send none */
    if (type == MESSAGE_JOIN) {
        struct message_join join;

        if (message_decode(type, body, &join, &err) != 0) {
            report_malformed(worker, &err);
            return;
        }
        if (worker->fetcher->is_open)
            on_worker_join(worker, &join);
        else
            wait_for_gate(worker, join.request, body);
    } else if (type == MESSAGE_LEAVE) {
        struct message_leave leave;

        if (message_decode(type, body, &leave, &err) != 0) {
            report_malformed(worker, &err);
            return;
        }
        forget_waiting(worker, &leave.request);
        worker_link_leave(worker, leave.request);
    }
}

static void on_worker_closed(struct channel *channel, void *arg)
{
    struct worker_link *worker = arg;

    (void)channel;
    forget_waiting(worker, NULL);
    worker_link_free(&worker);
}

static void on_worker_lied(struct channel *channel, void *arg)
{
    report_liar(arg);
    on_worker_closed(channel, arg);
}

static const struct channel_handler worker_handler = {
    .on_message = on_worker_message,
    .on_closed = on_worker_closed,
    .on_failed = channel_end_process,
    .on_lied = on_worker_lied,
};

void fetcher_add_worker(struct fetcher *fetcher, unsigned slot, uint64_t id, int *fd)
{
    CHECK(slot < WORKERS_MAX);
    struct worker_link *worker = worker_link_new(fetcher, slot, &worker_handler, fd);
    worker->id = id;
}

void fetcher_set_keeper(struct fetcher *fetcher, int *fd)
{
    keeper_client_set_channel(fetcher->keeper, fd);
}

/* ---- life ---- */

static int read_number(uint64_t *out, struct error *err, void *arg)
{
    struct fetcher *fetcher = arg;
    int rc = ledger_commit_number(ledger_read(fetcher->reader), out, err);

    ledger_read_end(fetcher->reader);
    return rc;
}

static void on_barrier(void *arg)
{
    open_gate(arg);
}

static void on_keeper_quiet(void *arg)
{
    drain_check(arg);
}

static struct keeper_client *new_keeper_client(struct fetcher *fetcher)
{
    return keeper_client_new(&(struct keeper_client_options){
        .loop = fetcher->options.loop,
        .role = ROLE_FETCHER,
        .credits = KEEPER_CREDITS,
        .unanswered_max = KEEPER_UNANSWERED_MAX,
        .read_number = read_number,
        .on_barrier = on_barrier,
        .on_quiet = on_keeper_quiet,
        .arg = fetcher,
    });
}

struct fetcher *fetcher_new(const struct fetcher_options *options)
{
    struct fetcher *fetcher = NEW(struct fetcher);

    fetcher->options = *options;
    fetcher->options.config = NULL; /* fetcher->config is the newest */
    fetcher->config = config_ref(options->config);
    fetcher->reader = ledger_reader_new(options->ledger);
    fetcher->large_key = pool_new_key();
    fetcher->trim = trim_new(fetcher);
    fetcher->blocks = block_pool_new(fetcher->config->fetch.memory);
    fetcher->resolver = resolver_new(options->loop);
    fetcher->logins = logins_new(fetcher);
    fetcher->upstreams = map_new();
    fetcher->flights = map_new();
    fetcher->asks = map_new();
    fetcher->absent = map_new();
    list_init(&fetcher->retired_upstreams);
    list_init(&fetcher->workers);
    list_init(&fetcher->waiting);
    list_init(&fetcher->all_asks);
    list_init(&fetcher->dead_flights);
    fetcher->spools = spool_index_new(fetcher);
    fetcher->keeper = new_keeper_client(fetcher);
    fetcher->gate = timer_new(options->loop, on_gate_timer, fetcher);
    drain_init(fetcher);
    timer_start(fetcher->gate, GATE_WAIT_MS);
    return fetcher;
}

void fetcher_set_config(struct fetcher *fetcher, struct config *config)
{
    struct config *old = fetcher->config;

    fetcher->config = config_ref(config);
    block_pool_resize(fetcher->blocks, config->fetch.memory);
    logins_answered(fetcher->logins, upstream_reconfigure_all(fetcher));
    config_unref(&old);
}

void fetcher_free(struct fetcher **fetcher)
{
    struct fetcher *gone = TAKE(*fetcher);

    if (!gone)
        return;
    gone->is_closing = true;
    while (!list_is_empty(&gone->waiting))
        waiting_free(LIST_ITEM(gone->waiting.next, struct waiting_join, link));
    while (!list_is_empty(&gone->workers)) {
        struct worker_link *worker = LIST_ITEM(gone->workers.next, struct worker_link, link);

        worker_link_free(&worker);
    }
    flight_free_all(gone);
    ask_free_all(gone);
    fetcher_wait_for_pool(gone);
    block_pool_free(&gone->blocks);
    trim_free(&gone->trim);
    keeper_client_free(&gone->keeper);
    upstream_free_all(gone);
    logins_free(&gone->logins);
    resolver_free(&gone->resolver);
    absent_free_all(gone);
    spool_index_free(&gone->spools);
    timer_free(&gone->gate);
    drain_cleanup(gone);
    ledger_reader_free(&gone->reader);
    config_unref(&gone->config);
    mem_free(gone);
}
