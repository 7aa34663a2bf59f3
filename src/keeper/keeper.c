/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper on its loop. Orders wait in a queue in the order they arrived; while a batch runs, the
 * next one gathers there.
 *
 *   channels ──► queue ──► batch (pool) ──► answers
 *                  ▲ at the end of a turn, if no batch and no chore runs
 *
 * A worker's file for a digest that is here is hashed between two batches (verifier.h), so that a
 * worker cannot replace what others have; and so is a stored file that a worker suspects, before a
 * batch, so that a worker cannot call damaged, or right, what others read.
 *
 * No sender waits for USED: alone, such orders start a batch only after a second. They have no
 * credits and no answer, so those over a limit are dropped; all that can follow is an eviction that
 * comes too early.
 */
#include "keeper/keeper.h"

#include <poll.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/list.h"
#include "base/log.h"
#include "base/pool.h"
#include "batch.h"
#include "chores.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "janitor.h"
#include "net/loop.h"
#include "order.h"
#include "peers.h"
#include "pushing.h"
#include "store/ledger.h"
#include "sweeper.h"
#include "verifier.h"

#define LINE_ORDERS_MAX 4096  /* a peer has far fewer credits: one above this is broken */
#define USES_MAX        256   /* USED orders in the queue and the batch */
#define HOUSEKEEPING_MS 30000 /* dead readers of the ledger, old uploads */
#define LAZY_MS         1000
#define FLUSH_MS        100

struct keeper {
    struct keeper_options options;
    struct config *config; /* the newest; a reference */
    struct peers *peers;
    struct list queue; /* struct order */
    struct batch *batch;
    struct verifier *verifier;
    unsigned uses; /* USED orders in both */
    struct chores *chores;
    bool is_chores_turn;          /* the last to run was a batch */
    uint64_t announced;           /* number of the newest commit that was told to watchers */
    struct ledger_reader *reader; /* on the loop */
    struct janitor *janitor;
    struct sweeper *sweeper;
    bool is_start_deferred;
    bool is_draining;
    bool is_drained; /* on_drained was called */
    struct timer *housekeeping;
    struct timer *lazy; /* runs while only uses wait */
    struct timer *drain;
};

static void start_next(struct keeper *keeper);
static void schedule_start(struct keeper *keeper, bool is_urgent);

/* ---- answers ---- */

static void answer_order(struct order *order)
{
    if (!order->line)
        return;
    if (order->refusal.kind == ERR_NONE) {
        struct message_done done = {.request = order_id(order), .number = order->number};

        peer_line_send(order->line, MESSAGE_DONE, &done);
        return;
    }
    struct message_refused refused = {
        .request = order_id(order),
        .kind = (uint64_t)order->refusal.kind,
        .text = slice_of(order->refusal.text),
        .digests = buf_bytes(&order->missing),
    };
    peer_line_send(order->line, MESSAGE_REFUSED, &refused);
}

static void finish_order(struct order *order)
{
    list_remove(&order->link);
    if (order->line)
        peer_line_unref(order->line);
    order_free(order);
}

static void log_failure(const struct error *err, size_t orders)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR);
    log_u64(&line, "requests", orders);
    log_text(&line, "error", err->text);
    log_end(&line, "a commit failed; each request was tried on its own");
}

static void tell_drained(struct keeper *keeper)
{
    if (keeper->is_drained)
        return;
    keeper->is_drained = true;
    peers_flush(keeper->peers, FLUSH_MS);
    keeper->options.on_drained(keeper->options.arg);
}

static void announce(struct keeper *keeper, uint64_t number)
{
    if (number <= keeper->announced)
        return;
    keeper->announced = number;
    peers_announce(keeper->peers, number);
}

/* The line is closed. Its process lives, and would wait for ever for another one. */
static void on_line_lied(const struct peer_line *line, void *arg)
{
    const struct keeper *keeper = arg;

    if (keeper->options.ask_master)
        keeper->options.ask_master(CONTROL_PEER_LIED, peer_line_id(line), keeper->options.arg);
}

/* Our own processes send no such orders: a worker that does is broken, or not ours any more. */
static void report_bad(struct keeper *keeper, const struct order *order,
                       const struct peer_line *line)
{
    if (peer_line_role(line) != ROLE_FETCHER)
        on_line_lied(line, keeper);
    log_say(LOG_WARN, "%s of a %s: %s", message_name(order->type),
            process_role_name(peer_line_role(line)), order->refusal.text);
}

/* It was not applied: its file must be hashed first. A draining keeper leaves it to the next. */
static void verify_order(struct keeper *keeper, struct order *order)
{
    list_remove(&order->link);
    list_init(&order->link);
    if (keeper->is_draining)
        finish_order(order);
    else
        verifier_start(keeper->verifier, order);
}

static void on_verified(struct order *order, void *arg)
{
    struct keeper *keeper = arg;

    if (keeper->is_draining) {
        finish_order(order);
        return;
    }
    list_append(&keeper->queue, &order->link);
    schedule_start(keeper, true);
}

static void on_batch_done(struct batch *batch, void *arg)
{
    struct keeper *keeper = arg;
    struct error err;
    unsigned commits = batch_commits(batch, &err);
    size_t orders = list_length(batch_orders(batch));
    uint64_t newest = 0;

    metrics_add(METRIC_commits, commits);
    metrics_add(METRIC_commit_requests, orders);
    if (err.kind != ERR_NONE)
        log_failure(&err, orders);
    LIST_EACH (link, batch_orders(batch)) {
        struct order *order = LIST_ITEM(link, struct order, link);

        if (order->trust == ORDER_KNOWN) {
            verify_order(keeper, order);
            continue;
        }
        if (order->type == MESSAGE_USED)
            keeper->uses--;
        else if (order->line && peer_line_role(order->line) == ROLE_FETCHER)
            chores_look(keeper->chores);
        else if (order->line && peer_line_role(order->line) == ROLE_STEWARD)
            chores_collect(keeper->chores);
        if (order->line && order_is_lie(order))
            report_bad(keeper, order, order->line);
        answer_order(order);
        if (order->number > newest)
            newest = order->number;
        finish_order(order);
    }
    announce(keeper, newest);
    start_next(keeper);
}

static void on_chores_done(uint64_t number, void *arg)
{
    announce(arg, number);
    start_next(arg);
}

/* ---- the queue ---- */

static void take_queue(struct keeper *keeper, struct list *taken)
{
    unsigned count = 0;

    LIST_EACH (link, &keeper->queue) {
        if (count++ == BATCH_ORDERS_MAX)
            break;
        list_remove(link);
        list_append(taken, link);
    }
}

/* Orders and chores take turns: after a batch one slice of a chore, if any is due, and after a
 * slice a batch, if there are orders. */
static void start_next(struct keeper *keeper)
{
    bool has_orders = !list_is_empty(&keeper->queue);
    bool has_chores = !keeper->is_draining && chores_is_due(keeper->chores);
    struct list taken;

    if (batch_is_running(keeper->batch) || chores_is_running(keeper->chores))
        return;
    if (has_chores && (!has_orders || keeper->is_chores_turn)) {
        keeper->is_chores_turn = false;
        chores_start(keeper->chores, keeper->config, clock_wall().ms);
    } else if (has_orders) {
        keeper->is_chores_turn = true;
        list_init(&taken);
        take_queue(keeper, &taken);
        timer_stop(keeper->lazy);
        batch_start(keeper->batch, &taken, keeper->config, clock_wall().ms);
    } else if (keeper->is_draining) {
        tell_drained(keeper);
    }
}

static void on_chores_due(void *arg)
{
    start_next(arg);
}

static void on_turn_end(void *arg)
{
    struct keeper *keeper = arg;

    keeper->is_start_deferred = false;
    start_next(keeper);
}

static void on_lazy_timer(void *arg)
{
    start_next(arg);
}

/* Starts a batch after this turn, so that all orders of the turn go into it. */
static void schedule_start(struct keeper *keeper, bool is_urgent)
{
    if (!is_urgent) {
        if (!timer_is_running(keeper->lazy))
            timer_start(keeper->lazy, LAZY_MS);
        return;
    }
    if (keeper->is_start_deferred || batch_is_running(keeper->batch))
        return;
    keeper->is_start_deferred = true;
    loop_defer(keeper->options.loop, on_turn_end, keeper);
}

static void on_used_order(struct keeper *keeper, const struct peer_line *line, struct slice body)
{
    if (keeper->uses >= USES_MAX)
        return;
    struct order *order = order_new(MESSAGE_USED, body, peer_line_role(line));
    if (order_is_bad(order)) {
        report_bad(keeper, order, line);
        finish_order(order);
        return;
    }
    keeper->uses++;
    list_append(&keeper->queue, &order->link);
    schedule_start(keeper, false);
}

/* The line is told the newest number now, and each one after it. */
static void on_line_watches(struct keeper *keeper, struct peer_line *line)
{
    struct message_changed changed;
    struct error err;

    peer_line_watch(line);
    int rc = ledger_commit_number(ledger_read(keeper->reader), &changed.number, &err);
    ledger_read_end(keeper->reader);
    if (rc != 0) {
        log_say(LOG_WARN, "cannot tell a watcher the commit number: %s", err.text);
        return; /* the next commit will tell it */
    }
    peer_line_send(line, MESSAGE_CHANGED, &changed);
}

static void on_line_message(struct peer_line *line, enum message_type type, struct slice body,
                            void *arg)
{
    struct keeper *keeper = arg;

    /* Its sender sends it again to the next keeper. */
    if (keeper->is_draining)
        return;
    if (type == MESSAGE_USED) {
        on_used_order(keeper, line, body);
        return;
    }
    if (type == MESSAGE_WATCH) {
        on_line_watches(keeper, line);
        return;
    }
    struct order *order = order_new(type, body, peer_line_role(line));
    order->line = line;
    peer_line_ref(line);
    if (FAILPOINT("keeper.order_is_bad"))
        order_refuse(order, ERR_INVALID, "failpoint");
    if (order_is_bad(order))
        report_bad(keeper, order, line);
    else if (peer_line_orders(line) > LINE_ORDERS_MAX)
        order_refuse(order, ERR_BUSY, "too many requests at once");
    if (order_is_bad(order)) {
        answer_order(order);
        finish_order(order);
        return;
    }
    if (type == MESSAGE_BLOB_SUSPECTED) {
        verifier_start(keeper->verifier, order);
        return;
    }
    list_append(&keeper->queue, &order->link);
    schedule_start(keeper, true);
}

static void on_housekeeping_timer(void *arg)
{
    struct keeper *keeper = arg;

    timer_start(keeper->housekeeping, HOUSEKEEPING_MS);
    if (keeper->is_draining)
        return;
    ledger_check_readers(keeper->options.ledger);
    janitor_start(keeper->janitor, keeper->config, clock_wall().ms);
}

/* ---- life ---- */

int keeper_check(const struct keeper_options *options, struct error *err)
{
    return pushing_check_upstreams(options->config, options->ledger, err);
}

struct keeper *keeper_new(const struct keeper_options *options)
{
    struct keeper *keeper = NEW(struct keeper);

    keeper->options = *options;
    keeper->options.config = NULL; /* keeper->config is the newest */
    keeper->config = config_ref(options->config);
    list_init(&keeper->queue);
    keeper->peers = peers_new(options->loop, on_line_message, on_line_lied, keeper);
    keeper->batch = batch_new(&(struct batch_options){
        .pool = options->pool,
        .ledger = options->ledger,
        .store = options->store,
        .on_done = on_batch_done,
        .arg = keeper,
    });
    keeper->verifier = verifier_new(&(struct verifier_options){
        .pool = options->pool,
        .store = options->store,
        .ledger = options->ledger,
        .on_done = on_verified,
        .arg = keeper,
    });
    keeper->reader = ledger_reader_new(options->ledger);
    keeper->sweeper = sweeper_new(&(struct sweeper_options){.loop = options->loop,
                                                            .pool = options->pool,
                                                            .ledger = options->ledger,
                                                            .store = options->store},
                                  keeper->config);
    keeper->chores = chores_new(&(struct chores_options){
        .loop = options->loop,
        .pool = options->pool,
        .ledger = options->ledger,
        .store = options->store,
        .uploads = options->uploads,
        .sweeper = keeper->sweeper,
        .on_due = on_chores_due,
        .on_done = on_chores_done,
        .arg = keeper,
    });
    keeper->janitor = janitor_new(&(struct janitor_options){
        .pool = options->pool,
        .store = options->store,
        .uploads = options->uploads,
    });
    janitor_find_sessions(keeper->janitor, keeper->config, clock_wall().ms);
    keeper->housekeeping = timer_new(options->loop, on_housekeeping_timer, keeper);
    keeper->lazy = timer_new(options->loop, on_lazy_timer, keeper);
    timer_start(keeper->housekeeping, HOUSEKEEPING_MS);
    return keeper;
}

void keeper_set_config(struct keeper *keeper, struct config *config)
{
    struct config *old = keeper->config;

    keeper->config = config_ref(config);
    sweeper_set_config(keeper->sweeper, config);
    config_unref(&old);
}

static void drop_queue(struct keeper *keeper)
{
    LIST_EACH (link, &keeper->queue)
        finish_order(LIST_ITEM(link, struct order, link));
}

static void wait_for_pool(struct keeper *keeper)
{
    struct pollfd waiting = {.fd = pool_descriptor(keeper->options.pool), .events = POLLIN};

    while (batch_is_running(keeper->batch) || chores_is_running(keeper->chores) ||
           sweeper_is_running(keeper->sweeper) || chores_are_cleaning(keeper->chores) ||
           janitor_is_running(keeper->janitor) || verifier_is_running(keeper->verifier)) {
        (void)poll(&waiting, 1, -1);
        pool_run_done(keeper->options.pool);
    }
}

void keeper_free(struct keeper **keeper)
{
    if (!*keeper)
        return;
    loop_cancel_deferred((*keeper)->options.loop, *keeper);
    (*keeper)->is_draining = true;
    (*keeper)->is_drained = true; /* on_drained is not called any more */
    drop_queue(*keeper);
    verifier_stop((*keeper)->verifier);
    sweeper_stop((*keeper)->sweeper);
    wait_for_pool(*keeper);
    peers_free(&(*keeper)->peers);
    batch_free(&(*keeper)->batch);
    verifier_free(&(*keeper)->verifier);
    chores_free(&(*keeper)->chores);
    sweeper_free(&(*keeper)->sweeper);
    ledger_reader_free(&(*keeper)->reader);
    janitor_free(&(*keeper)->janitor);
    timer_free(&(*keeper)->housekeeping);
    timer_free(&(*keeper)->lazy);
    timer_free(&(*keeper)->drain);
    config_unref(&(*keeper)->config);
    mem_free(*keeper);
    *keeper = NULL;
}

void keeper_set_peer(struct keeper *keeper, enum process_role role, unsigned slot, uint64_t id,
                     int *fd)
{
    peers_add(keeper->peers, role, slot, id, fd);
}

static void on_drain_deadline(void *arg)
{
    tell_drained(arg);
}

static void on_drain_begun(void *arg)
{
    start_next(arg);
}

void keeper_drain(struct keeper *keeper, uint64_t within_ms)
{
    if (keeper->is_draining)
        return;
    keeper->is_draining = true;
    verifier_stop(keeper->verifier);
    sweeper_stop(keeper->sweeper);
    keeper->drain = timer_new(keeper->options.loop, on_drain_deadline, keeper);
    timer_start(keeper->drain, within_ms);
    loop_defer(keeper->options.loop, on_drain_begun, keeper);
}
