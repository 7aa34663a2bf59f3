/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers by libcurl's multi interface on our loop. (door: libcurl)
 *
 *   name --> starting --head--> body --end--> finished --deferred--> on_done, freed
 *    |          |                 |              ^
 *    +----------+---- error, timeout, refusal ---+       cancel: silent, freed after the turn
 *
 * libcurl must not be called back into from its own callbacks beyond what its manual allows, so
 * everything that ends a transfer is deferred to the end of the turn.
 */
#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "transfer_parts.h"

#define HEAD_MAX (64ul * 1024)

/* One descriptor that libcurl wants watched; freed after the turn in which it is let go. */
struct socket_watch {
    struct list link;
    struct transfer_set *set;
    struct watch *watch;
    curl_socket_t socket;
};

/* The states follow one another; some are passed over. */
void transfer_set_state(struct transfer *transfer, enum transfer_state next)
{
    CHECK(next > transfer->state);
    transfer->state = next;
}

/* ---- the end of a transfer ---- */

static void transfer_free(struct transfer *transfer)
{
    const struct curl_api *curl = transfer->set->curl;

    loop_cancel_deferred(transfer->set->loop, transfer);
    list_remove(&transfer->link);
    if (transfer->is_in_multi) {
        CHECK(!transfer->set->is_inside);
        curl->multi_remove(transfer->set->multi, transfer->easy);
    }
    if (transfer->easy)
        curl->easy_cleanup(transfer->easy);
    curl->list_free(transfer->headers);
    curl->list_free(transfer->addresses);
    resolver_cancel(&transfer->name);
    timer_free(&transfer->timer);
    buf_cleanup(&transfer->head);
    mem_free(transfer->host);
    mem_free(transfer);
}

static void on_finished(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->state == TRANSFER_FINISHED) {
        transfer_set_state(transfer, TRANSFER_CANCELLED);
        transfer->handler->on_done(transfer, transfer->err.kind ? &transfer->err : NULL,
                                   transfer->arg);
    }
    transfer_free(transfer);
}

void transfer_finish(struct transfer *transfer)
{
    if (transfer->state >= TRANSFER_FINISHED)
        return;
    transfer_set_state(transfer, TRANSFER_FINISHED);
    resolver_cancel(&transfer->name);
    timer_stop(transfer->timer);
    loop_defer(transfer->set->loop, on_finished, transfer);
}

void transfer_cancel(struct transfer **transfer)
{
    struct transfer *gone = TAKE(*transfer);

    if (!gone || gone->state == TRANSFER_CANCELLED)
        return;
    transfer_set_state(gone, TRANSFER_CANCELLED);
    resolver_cancel(&gone->name);
    timer_stop(gone->timer);
    loop_cancel_deferred(gone->set->loop, gone);
    loop_defer(gone->set->loop, on_finished, gone);
}

/* The system's own word where there is one: "connection refused" tells more than "could not
 * connect". */
static void describe(struct transfer *transfer, CURLcode code)
{
    const struct curl_api *curl = transfer->set->curl;
    long number = 0;

    if (code == CURLE_COULDNT_CONNECT) {
        curl->easy_get(transfer->easy, CURLINFO_OS_ERRNO, &number);
        if (number > 0) {
            error_set_errno(&transfer->err, (int)number, "connect");
            transfer->err.kind = ERR_UPSTREAM;
            return;
        }
    }
    if (code == CURLE_SSL_CACERT_BADFILE) {
        error_set(&transfer->err, ERR_UPSTREAM,
                  "the file of certificates (ca_file) cannot be read");
    } else {
        error_set(&transfer->err, ERR_UPSTREAM, "%s", curl->easy_text(code));
    }
}

static void transfer_ended(struct transfer *transfer, CURLcode code)
{
    if (transfer->err.kind != ERR_NONE) {
        /* Set where it happened: more exact than libcurl's code. */
    } else if (code == CURLE_OK && transfer->state == TRANSFER_STARTING) {
        error_set(&transfer->err, ERR_UPSTREAM, "the answer has no head");
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        error_set(&transfer->err, ERR_TIMEOUT, "no connection in time");
    } else if (code != CURLE_OK && transfer->was_refused) {
        error_set(&transfer->err, ERR_DENIED, "the address is not allowed");
    } else if (code != CURLE_OK) {
        describe(transfer, code);
    }
    transfer_finish(transfer);
}

/* ---- driving libcurl ---- */

static void collect_ended(struct transfer_set *set)
{
    CURLMsg *message = NULL;
    int left = 0;

    while ((message = set->curl->multi_info(set->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;
        CURL *easy = message->easy_handle;
        set->curl->easy_get(easy, CURLINFO_PRIVATE, (char **)(void *)&transfer);
        set->curl->multi_remove(set->multi, easy);
        transfer->is_in_multi = false;
        transfer_ended(transfer, code);
    }
}

static void drive(struct transfer_set *set, curl_socket_t socket, int events)
{
    int running = 0;

    CHECK(!set->is_inside);
    set->is_inside = true;
    set->curl->multi_action(set->multi, socket, events, &running);
    set->is_inside = false;
    collect_ended(set);
}

static void on_socket_ready(unsigned ready, void *arg)
{
    struct socket_watch *watched = arg;
    int events = 0;

    if (ready & WATCH_READ)
        events |= CURL_CSELECT_IN;
    if (ready & WATCH_WRITE)
        events |= CURL_CSELECT_OUT;
    drive(watched->set, watched->socket, events);
}

static void on_set_timer(void *arg)
{
    drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct transfer_set *set = arg;

    (void)multi;
    if (timeout_ms < 0) {
        timer_stop(set->timer);
    } else {
        timer_start(set->timer, (uint64_t)timeout_ms);
    }
    return 0;
}

static void free_socket(void *arg)
{
    struct socket_watch *watched = arg;
    list_remove(&watched->link);
    watch_free(&watched->watch);
    mem_free(watched);
}

static int on_curl_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *known)
{
    struct transfer_set *set = arg;
    struct socket_watch *watched = known;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            watch_set(watched->watch, WATCH_NONE);
            set->curl->multi_assign(set->multi, socket, NULL);
            loop_defer(set->loop, free_socket, watched);
        }
        return 0;
    }
    if (!watched) {
        watched = NEW(struct socket_watch);
        watched->set = set;
        watched->socket = socket;
        watched->watch = watch_new(set->loop, socket, on_socket_ready, watched);
        list_append(&set->sockets, &watched->link);
        set->curl->multi_assign(set->multi, socket, watched);
    }
    unsigned events = WATCH_NONE;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= WATCH_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= WATCH_WRITE;
    watch_set(watched->watch, events);
    return 0;
}

/* ---- time ---- */

/* For how long nothing may happen, from quiet_since on; the total time is apart. */
static uint64_t patience_ms(const struct transfer *transfer)
{
    if (transfer->state == TRANSFER_BODY)
        return transfer->stall_timeout_ms;
    if (transfer->state == TRANSFER_NAME &&
        transfer->connect_timeout_ms < transfer->head_timeout_ms)
        return transfer->connect_timeout_ms;
    return transfer->head_timeout_ms;
}

static void start_timer(struct transfer *transfer)
{
    struct monotime now = clock_mono();
    struct monotime due = monotime_add(transfer->quiet_since, patience_ms(transfer));

    if (due.ms > transfer->ends_at.ms)
        due = transfer->ends_at;
    timer_start(transfer->timer, monotime_since(due, now));
}

void transfer_restart_timer(struct transfer *transfer)
{
    transfer->quiet_since = clock_mono();
    start_timer(transfer);
}

static void judge_timeout(struct transfer *transfer, struct error *err)
{
    unsigned long long ms = patience_ms(transfer);

    if (transfer->state == TRANSFER_NAME) {
        error_set(err, ERR_TIMEOUT, "no answer of the name server for %s within %llu ms",
                  transfer->host, ms);
    } else if (transfer->state == TRANSFER_STARTING) {
        error_set(err, ERR_TIMEOUT, "no answer within %llu ms", ms);
    } else {
        error_set(err, ERR_TIMEOUT, "no byte within %llu ms", ms);
    }
}

static void on_transfer_timer(void *arg)
{
    struct transfer *transfer = arg;
    struct monotime now = clock_mono();

    if (now.ms >= transfer->ends_at.ms) {
        error_set(&transfer->err, ERR_TIMEOUT, "the answer took too long");
        transfer_finish(transfer);
    } else if (transfer->is_paused) {
        transfer_restart_timer(transfer);
    } else if (monotime_since(now, transfer->quiet_since) < patience_ms(transfer)) {
        start_timer(transfer);
    } else {
        judge_timeout(transfer, &transfer->err);
        transfer_finish(transfer);
    }
}

static void on_resume(void *arg)
{
    struct transfer *transfer = arg;
    struct transfer_set *set = transfer->set;

    if (transfer->state >= TRANSFER_FINISHED || !transfer->is_paused)
        return;
    transfer->is_paused = false;
    transfer->quiet_since = clock_mono();
    set->is_inside = true;
    set->curl->easy_pause(transfer->easy, CURLPAUSE_CONT);
    set->is_inside = false;
    collect_ended(set);
}

void transfer_resume(struct transfer *transfer)
{
    /* libcurl hands over what it kept from inside that call, so not from inside the caller's. */
    if (transfer->state < TRANSFER_FINISHED)
        loop_defer(transfer->set->loop, on_resume, transfer);
}

void transfer_limit(struct transfer *transfer, uint64_t ms)
{
    struct monotime end = monotime_add(clock_mono(), ms);

    if (transfer->state >= TRANSFER_FINISHED || end.ms >= transfer->ends_at.ms)
        return;
    transfer->ends_at = end;
    start_timer(transfer);
}

/* ---- starting ---- */

static int prepare_set(struct transfer_set *set, struct error *err)
{
    const struct curl_api *curl = NULL;

    if (set->multi)
        return 0;
    int rc = curl_api_load(&curl, err);
    if (rc != 0)
        return rc;
    set->multi = curl->multi_init();
    if (!set->multi)
        return error_set(err, ERR_INTERNAL, "libcurl gives no multi handle");
    set->curl = curl;
    curl->multi_set(set->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl->multi_set(set->multi, CURLMOPT_SOCKETDATA, set);
    curl->multi_set(set->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl->multi_set(set->multi, CURLMOPT_TIMERDATA, set);
    curl->multi_set(set->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return 0;
}

/* What is left of the connect timeout, for libcurl, to which 0 means its own default. */
static long connect_ms(const struct transfer *transfer)
{
    uint64_t used_ms = monotime_since(clock_mono(), transfer->started_at);

    return used_ms < transfer->connect_timeout_ms ? (long)(transfer->connect_timeout_ms - used_ms)
                                                  : 1;
}

void transfer_begin(struct transfer *transfer)
{
    const struct curl_api *curl = transfer->set->curl;

    transfer_set_state(transfer, TRANSFER_STARTING);
    start_timer(transfer);
    curl->easy_set(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms(transfer));
    curl->multi_add(transfer->set->multi, transfer->easy);
    transfer->is_in_multi = true;
}

static void on_start(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->state < TRANSFER_FINISHED)
        transfer_connect(transfer);
}

static struct transfer *transfer_new(struct transfer_set *set,
                                     const struct transfer_request *request)
{
    struct transfer *transfer = NEW(struct transfer);

    transfer->set = set;
    transfer->may_connect = request->may_connect;
    transfer->connect_timeout_ms = request->connect_timeout_ms;
    transfer->head_timeout_ms = request->head_timeout_ms;
    transfer->stall_timeout_ms = request->stall_timeout_ms;
    transfer->started_at = clock_mono();
    transfer->quiet_since = transfer->started_at;
    transfer->ends_at =
        monotime_add(transfer->started_at,
                     request->total_timeout_ms > 0 ? request->total_timeout_ms : UINT64_MAX);
    transfer->timer = timer_new(set->loop, on_transfer_timer, transfer);
    buf_init(&transfer->head, HEAD_MAX);
    list_append(&set->transfers, &transfer->link);
    return transfer;
}

static int prepare(struct transfer *transfer, const struct transfer_request *request,
                   struct error *err)
{
    int rc = transfer_plan_connection(transfer, request, err);

    if (rc != 0)
        return rc;
    transfer->easy = transfer->set->curl->easy_init();
    if (!transfer->easy)
        return error_set(err, ERR_INTERNAL, "libcurl gives no handle");
    transfer_set_options(transfer, request);
    return 0;
}

int transfer_start(struct transfer_set *set, const struct transfer_request *request,
                   const struct transfer_handler *handler, void *arg, struct transfer **out,
                   struct error *err)
{
    int rc = prepare_set(set, err);

    if (rc != 0)
        return rc;
    struct transfer *transfer = transfer_new(set, request);
    transfer->handler = handler;
    transfer->arg = arg;
    rc = prepare(transfer, request, err);
    if (rc != 0) {
        transfer_free(transfer);
        return rc;
    }
    start_timer(transfer);
    /* libcurl refuses a new transfer inside one of its callbacks. */
    loop_defer(set->loop, on_start, transfer);
    *out = transfer;
    return 0;
}

struct transfer_set *transfer_set_new(struct loop *loop, struct resolver *resolver)
{
    struct transfer_set *set = NEW(struct transfer_set);
    set->loop = loop;
    set->resolver = resolver;
    set->timer = timer_new(loop, on_set_timer, set);
    list_init(&set->transfers);
    list_init(&set->sockets);
    return set;
}

void transfer_set_free(struct transfer_set **set)
{
    struct transfer_set *gone = TAKE(*set);

    if (!gone)
        return;
    LIST_EACH (link, &gone->transfers) {
        transfer_free(LIST_ITEM(link, struct transfer, link));
    }
    if (gone->multi)
        gone->curl->multi_cleanup(gone->multi);
    LIST_EACH (link, &gone->sockets) {
        struct socket_watch *watched = LIST_ITEM(link, struct socket_watch, link);
        loop_cancel_deferred(gone->loop, watched);
        free_socket(watched);
    }
    timer_free(&gone->timer);
    mem_free(gone);
}
