/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See exchange.h.
 *
 *   QUEUED ──> ASKING ──────────> ENDED        the whole answer, a failure, or no address is left
 *                │  ^  next address
 *                │  └──┘
 *                └──> PATIENT ──> ASKING, ENDED       all addresses are known to be down
 */
#include "exchange.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "config/config.h"
#include "hop.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "role.h"
#include "upstream.h"

#define PATIENCE_STEP_MS 200
#define FAILURE_LOG_MS   10000

enum exchange_state {
    EXCHANGE_QUEUED,  /* waits for a connection */
    EXCHANGE_ASKING,  /* a hop is running, or about to */
    EXCHANGE_PATIENT, /* waits until a breaker lets it pass */
    EXCHANGE_ENDED,   /* on_done is due */
    EXCHANGE_STATES,
};

#define TO(state) (1u << EXCHANGE_##state)
static const unsigned moves[EXCHANGE_STATES] = {
    [EXCHANGE_QUEUED] = TO(ASKING),
    [EXCHANGE_ASKING] = TO(ASKING) | TO(PATIENT) | TO(ENDED),
    [EXCHANGE_PATIENT] = TO(ASKING),
    [EXCHANGE_ENDED] = 0,
};
#undef TO

struct exchange {
    struct list link; /* of the upstream's queue */
    enum exchange_state state;
    struct exchange_request request; /* its strings are the next three */
    char *repository;
    char *path;
    char *accept;
    const struct exchange_handler *handler;
    void *arg;
    struct monotime ends_at; /* for questions */
    size_t url;              /* index of the address being asked */
    size_t asked;            /* addresses that were asked or skipped */
    struct hop *hop;
    struct exchange_end doubt; /* what an address said that did not say no; ERR_NONE: all said no */
    struct exchange_end end;
    bool has_moved;         /* to the upstream's heir */
    struct timer *patience; /* of PATIENT; NULL: never needed */
    struct monotime patient_until;
};

static void exchange_run(void *arg);

static void exchange_set_state(struct exchange *exchange, enum exchange_state next)
{
    CHECK((moves[exchange->state] & (1u << next)) != 0);
    exchange->state = next;
}

static struct loop *loop_of(const struct exchange *exchange)
{
    return exchange->request.upstream->fetcher->options.loop;
}

/* ---- connections ---- */

/* Downloads take long, so they get at most three quarters of the connections: short questions need
 * not wait for them. */
static bool may_run(const struct exchange *exchange)
{
    const struct upstream *upstream = exchange->request.upstream;
    size_t limit = upstream->fetcher->config->fetch.connections;
    size_t kept = limit < 4 ? limit / 2 : limit / 4;
    size_t downloads = 0;

    return upstream_running(upstream, &downloads) < limit &&
           (exchange->request.kind != EXCHANGE_DOWNLOAD || downloads < limit - kept);
}

static void occupy_connection(struct exchange *exchange)
{
    struct upstream *upstream = exchange->request.upstream;

    exchange_set_state(exchange, EXCHANGE_ASKING);
    upstream->running++;
    if (exchange->request.kind == EXCHANGE_DOWNLOAD)
        upstream->downloads++;
}

static bool start_first(struct upstream *upstream)
{
    LIST_EACH (link, &upstream->queue) {
        struct exchange *next = LIST_ITEM(link, struct exchange, link);

        if (!may_run(next))
            continue;
        list_remove(&next->link);
        occupy_connection(next);
        loop_defer(loop_of(next), exchange_run, next);
        return true;
    }
    return false;
}

/* Give the connection to the first exchange in the queue that may have it. */
static void release_connection(struct exchange *exchange)
{
    struct upstream *upstream = exchange->request.upstream;

    CHECK(upstream->running > 0);
    upstream->running--;
    if (exchange->request.kind == EXCHANGE_DOWNLOAD)
        upstream->downloads--;
    struct upstream *current = upstream_current(upstream);
    if (!start_first(upstream) && current && current != upstream)
        (void)start_first(current);
}

/* ---- the end ---- */

static void exchange_free(struct exchange *exchange)
{
    loop_cancel_deferred(loop_of(exchange), exchange);
    list_remove(&exchange->link);
    hop_cancel(&exchange->hop);
    if (exchange->state != EXCHANGE_QUEUED)
        release_connection(exchange);
    timer_free(&exchange->patience);
    mem_free(exchange->repository);
    mem_free(exchange->path);
    mem_free(exchange->accept);
    upstream_unref(&exchange->request.upstream);
    mem_free(exchange);
}

/* One line in ten seconds for each upstream; "not found" is no failure. */
static void log_failure(const struct exchange *exchange)
{
    struct upstream *upstream = exchange->request.upstream;
    struct monotime now = clock_mono();
    struct log_line line;

    if (exchange->end.err.kind == ERR_NOT_FOUND ||
        (upstream->failure_logged_at.ms != 0 &&
         monotime_since(now, upstream->failure_logged_at) < FAILURE_LOG_MS))
        return;
    upstream->failure_logged_at = now;
    log_begin(&line, LOG_WARN);
    log_text(&line, "origin", upstream->name);
    log_slice(&line, "repo", exchange->request.repository);
    log_end(&line, "a request to the upstream failed: %s", exchange->end.err.text);
}

static void exchange_finish(void *arg)
{
    struct exchange *exchange = arg;
    enum error_kind kind = exchange->end.err.kind;

    if (kind != ERR_NONE && kind != ERR_CANCELLED) {
        metrics_add(METRIC_upstream_failures, 1);
        log_failure(exchange);
    }
    exchange->handler->on_done(&exchange->end, exchange->arg);
    exchange_free(exchange);
}

/* ---- the next address ---- */

/* Set exchange->end: why no address can be asked. */
static void judge_silence(struct exchange *exchange)
{
    const struct upstream *upstream = exchange->request.upstream;
    struct exchange_end *end = &exchange->end;
    uint64_t wait_ms = exchange->request.is_blob ? 0 : upstream_busy_ms(upstream);

    if (wait_ms > 0) {
        end->retry_after = wait_ms / 1000 + 1;
        error_set(&end->err, ERR_BUSY, "%s asked us to wait (429)", upstream->name);
    } else {
        error_set(&end->err, ERR_UPSTREAM, "%.60s is known to be down: %s", upstream->name,
                  upstream->urls[exchange->url].down_why);
    }
}

/* Choose the next address that was not asked yet and may be. False: there is none, and
 * exchange->end says why. */
static bool pick_address(struct exchange *exchange)
{
    struct upstream *upstream = exchange->request.upstream;
    size_t first = exchange->url;

    if (!upstream_pick(upstream, first, upstream->url_count - exchange->asked,
                       !exchange->request.is_blob, &exchange->url)) {
        judge_silence(exchange);
        return false;
    }
    size_t passed = (exchange->url + upstream->url_count - first) % upstream->url_count;
    if (passed > 0 && exchange->doubt.err.kind == ERR_NONE) {
        judge_silence(exchange);
        exchange->doubt = exchange->end;
        exchange->end = (struct exchange_end){0};
    }
    exchange->asked += passed + 1;
    return true;
}

static void on_hop_done(const struct exchange_end *end, void *arg);

static bool on_hop_head(const struct exchange_answer *answer, void *arg)
{
    struct exchange *exchange = arg;

    return exchange->handler->on_head(answer, exchange->arg);
}

static enum transfer_want on_hop_data(struct slice bytes, void *arg)
{
    struct exchange *exchange = arg;
    enum transfer_want want = exchange->handler->on_data(bytes, exchange->arg);

    if (want == TRANSFER_CONTINUE) {
        metrics_add(METRIC_upstream_bytes, bytes.length);
        metrics_add_at(METRIC_upstream_received_bytes, exchange->request.upstream->metric, 0,
                       bytes.length);
    }
    return want;
}

static const struct exchange_handler hop_handler = {
    .on_head = on_hop_head,
    .on_data = on_hop_data,
    .on_done = on_hop_done,
};

static void ask_address(struct exchange *exchange)
{
    struct hop_options options = {
        .request = &exchange->request,
        .url = exchange->url,
        .ends_at = exchange->ends_at,
        .handler = &hop_handler,
        .arg = exchange,
    };

    exchange->hop = hop_start(&options);
}

/* The address said no, or that it is busy: ask another. False: exchange->end is the last word. */
static bool ask_next(struct exchange *exchange)
{
    struct exchange_end *end = &exchange->end;
    struct exchange_end said = *end;

    if (!said.is_final && said.err.kind != ERR_BUSY)
        return false;
    /* A refused login says nothing about what is there. */
    if (said.err.kind == ERR_BUSY || said.err.kind == ERR_UNAUTHORIZED)
        exchange->doubt = said;
    if (exchange->asked < exchange->request.upstream->url_count) {
        exchange->url = (exchange->url + 1) % exchange->request.upstream->url_count;
        *end = (struct exchange_end){0};
        if (pick_address(exchange)) {
            exchange_set_state(exchange, EXCHANGE_ASKING);
            ask_address(exchange);
            return true;
        }
        if (exchange->doubt.err.kind == ERR_NONE)
            exchange->doubt = *end;
        *end = said;
    }
    if (exchange->doubt.err.kind != ERR_NONE)
        *end = exchange->doubt;
    return false;
}

/* They have not begun: all of them can begin at the heir. */
static void move_queue(struct upstream *old, struct upstream *heir)
{
    LIST_EACH (link, &old->queue) {
        struct exchange *queued = LIST_ITEM(link, struct exchange, link);

        list_remove(&queued->link);
        list_append(&heir->queue, &queued->link);
        upstream_unref(&queued->request.upstream);
        queued->request.upstream = upstream_ref(heir);
    }
}

/* The login was refused, but the upstream has another one by now: all of it once more. The
 * connection moves to the heir, whose limit is the same. */
static bool move_to_heir(struct exchange *exchange)
{
    struct upstream *old = exchange->request.upstream;
    struct upstream *heir = upstream_heir(old);
    bool is_download = exchange->request.kind == EXCHANGE_DOWNLOAD;

    if (!exchange->end.has_heir || !heir || exchange->has_moved)
        return false;
    exchange->has_moved = true;
    old->running--;
    old->downloads -= is_download;
    heir->running++;
    heir->downloads += is_download;
    move_queue(old, heir);
    exchange->request.upstream = upstream_ref(heir);
    upstream_unref(&old);
    exchange->url = exchange->request.first_url;
    exchange->asked = 0;
    exchange->doubt = (struct exchange_end){0};
    exchange->end = (struct exchange_end){0};
    exchange_set_state(exchange, EXCHANGE_ASKING);
    exchange_run(exchange);
    return true;
}

static void on_hop_done(const struct exchange_end *end, void *arg)
{
    struct exchange *exchange = arg;

    exchange->hop = NULL;
    exchange->end = *end;
    if (move_to_heir(exchange) || ask_next(exchange))
        return;
    exchange_set_state(exchange, EXCHANGE_ENDED);
    exchange_finish(exchange);
}

/* ---- from the beginning ---- */

/* A download that already has bytes has followers, and "known to be down" is our own judgement, not
 * a failed try: it waits for its upstream as long as a stall may last. */
static bool waits_for_breaker(struct exchange *exchange)
{
    const struct fetcher *fetcher = exchange->request.upstream->fetcher;

    if (exchange->request.range_start == 0 || exchange->end.err.kind != ERR_UPSTREAM)
        return false;
    if (!exchange->patience) {
        exchange->patience = timer_new(fetcher->options.loop, exchange_run, exchange);
        exchange->patient_until = monotime_add(clock_mono(), fetcher->config->fetch.stall_timeout);
    }
    if (clock_mono().ms >= exchange->patient_until.ms)
        return false;
    exchange->end = (struct exchange_end){0};
    exchange_set_state(exchange, EXCHANGE_PATIENT);
    timer_start(exchange->patience, PATIENCE_STEP_MS);
    return true;
}

static void exchange_run(void *arg)
{
    struct exchange *exchange = arg;
    const struct config *config = exchange->request.upstream->fetcher->config;

    if (exchange->state == EXCHANGE_PATIENT)
        exchange_set_state(exchange, EXCHANGE_ASKING);
    /* For questions, whose bodies are small: twice the time for a head, tokens and redirects
     * included. A byte now and then is no stall, but must not hold a connection for ever. */
    exchange->ends_at = monotime_add(clock_mono(), 2 * config->fetch.head_timeout);
    if (pick_address(exchange)) {
        ask_address(exchange);
    } else if (!waits_for_breaker(exchange)) {
        exchange_set_state(exchange, EXCHANGE_ENDED);
        loop_defer(loop_of(exchange), exchange_finish, exchange);
    }
}

struct exchange *exchange_start(const struct exchange_request *request,
                                const struct exchange_handler *handler, void *arg)
{
    struct exchange *exchange = NEW(struct exchange);

    exchange->repository = slice_dup(request->repository);
    exchange->path = mem_strdup(request->path);
    exchange->accept = request->accept ? mem_strdup(request->accept) : NULL;
    exchange->request = *request;
    exchange->request.upstream = upstream_ref(request->upstream);
    exchange->request.repository = slice_of(exchange->repository);
    exchange->request.path = exchange->path;
    exchange->request.accept = exchange->accept;
    exchange->url = request->first_url;
    exchange->handler = handler;
    exchange->arg = arg;
    list_init(&exchange->link);
    if (may_run(exchange)) {
        occupy_connection(exchange);
        exchange_run(exchange);
    } else {
        list_append(&exchange->request.upstream->queue, &exchange->link);
    }
    return exchange;
}

void exchange_resume(struct exchange *exchange)
{
    if (exchange->hop)
        hop_resume(exchange->hop);
}

bool exchange_is_queued(const struct exchange *exchange)
{
    return exchange->state == EXCHANGE_QUEUED;
}

bool exchange_others_wait(const struct exchange *exchange)
{
    LIST_EACH (link, &exchange->request.upstream->queue) {
        if (LIST_ITEM(link, const struct exchange, link)->request.kind == EXCHANGE_DOWNLOAD)
            return true;
    }
    return false;
}

void exchange_cancel(struct exchange **exchange)
{
    struct exchange *gone = TAKE(*exchange);

    if (gone)
        exchange_free(gone);
}
