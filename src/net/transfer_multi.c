/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi handle on our loop: its sockets, its timer, and the transfers that it has ended.
 * When a call of the multi handle fails, all its transfers end with an error; once they are gone,
 * the next transfer makes a new handle. (door: libcurl)
 */
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "net/loop.h"
#include "transfer_parts.h"

/* A descriptor that libcurl wants to be watched. It is freed after the turn in which libcurl gives
 * it up. */
struct socket_watch {
    struct list link;
    struct transfer_set *set;
    struct watch *watch;
    curl_socket_t socket;
};

/* ---- when libcurl fails ---- */

static void log_failed_call(const struct transfer_set *set, const char *what, CURLMcode code)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR);
    log_text(&line, "call", what);
    log_u64(&line, "transfers", list_length(&set->transfers));
    log_end(&line, "libcurl: %s", set->curl->multi_text(code));
}

static void break_set(struct transfer_set *set, const char *what, CURLMcode code)
{
    if (set->is_broken)
        return;
    set->is_broken = true;
    log_failed_call(set, what, code);
    timer_stop(set->timer);
    LIST_EACH (link, &set->transfers) {
        struct transfer *transfer = LIST_ITEM(link, struct transfer, link);

        if (!transfer->is_in_multi || transfer->state >= TRANSFER_FINISHED)
            continue;
        if (transfer->err.kind == ERR_NONE) {
            error_set(&transfer->err, ERR_INTERNAL, "libcurl: %s: %s", what,
                      set->curl->multi_text(code));
        }
        transfer_finish(transfer);
    }
}

/* ---- turns of libcurl ---- */

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
        CHECK(set->curl->easy_get(easy, CURLINFO_PRIVATE, (char **)(void *)&transfer) == CURLE_OK);
        transfer_leave_multi(transfer);
        transfer_end(transfer, code);
    }
}

static void drive(struct transfer_set *set, curl_socket_t socket, int events)
{
    int running = 0;

    if (set->is_broken)
        return;
    CHECK(!set->is_inside);
    set->is_inside = true;
    CURLMcode code = FAILPOINT("transfer.drive")
                         ? CURLM_INTERNAL_ERROR
                         : set->curl->multi_action(set->multi, socket, events, &running);
    set->is_inside = false;
    collect_ended(set);
    if (code != CURLM_OK)
        break_set(set, "curl_multi_socket_action", code);
}

int transfer_join_multi(struct transfer *transfer, struct error *err)
{
    struct transfer_set *set = transfer->set;

    if (set->is_broken)
        return error_set(err, ERR_INTERNAL, "libcurl has failed; its transfers are being ended");
    CURLMcode code = FAILPOINT("transfer.add") ? CURLM_OUT_OF_MEMORY
                                               : set->curl->multi_add(set->multi, transfer->easy);
    if (code != CURLM_OK) {
        return error_set(err, ERR_INTERNAL, "curl_multi_add_handle: %s",
                         set->curl->multi_text(code));
    }
    transfer->is_in_multi = true;
    return 0;
}

void transfer_leave_multi(struct transfer *transfer)
{
    struct transfer_set *set = transfer->set;

    if (!transfer->is_in_multi)
        return;
    CHECK(!set->is_inside);
    CURLMcode code = set->curl->multi_remove(set->multi, transfer->easy);
    transfer->is_in_multi = false;
    if (code != CURLM_OK)
        break_set(set, "curl_multi_remove_handle", code);
}

void transfer_unpause(struct transfer *transfer, int paused)
{
    struct transfer_set *set = transfer->set;

    set->is_inside = true;
    CURLcode code = FAILPOINT("transfer.unpause") ? CURLE_OUT_OF_MEMORY
                                                  : set->curl->easy_pause(transfer->easy, paused);
    set->is_inside = false;
    if (code != CURLE_OK)
        transfer_end(transfer, code);
    collect_ended(set);
}

/* ---- what libcurl asks of the loop ---- */

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
    if (timeout_ms < 0 || set->is_broken)
        timer_stop(set->timer);
    else
        timer_start(set->timer, (uint64_t)timeout_ms);
    return 0;
}

static void free_socket(void *arg)
{
    struct socket_watch *watched = arg;

    list_remove(&watched->link);
    watch_free(&watched->watch);
    mem_free(watched);
}

/* NULL when libcurl refuses to remember it. */
static struct socket_watch *watch_socket(struct transfer_set *set, curl_socket_t socket)
{
    struct socket_watch *watched = NEW(struct socket_watch);

    watched->set = set;
    watched->socket = socket;
    watched->watch = watch_new(set->loop, socket, on_socket_ready, watched);
    list_append(&set->sockets, &watched->link);
    CURLMcode code = FAILPOINT("transfer.watch")
                         ? CURLM_OUT_OF_MEMORY
                         : set->curl->multi_assign(set->multi, socket, watched);
    if (code == CURLM_OK)
        return watched;
    loop_defer(set->loop, free_socket, watched);
    return NULL;
}

static void unwatch_socket(struct transfer_set *set, CURL *easy, struct socket_watch *watched)
{
    struct transfer *transfer = NULL;

    if (watched) {
        watch_set(watched->watch, WATCH_NONE);
        loop_defer(set->loop, free_socket, watched);
    }
    if (set->curl->easy_get(easy, CURLINFO_PRIVATE, (char **)(void *)&transfer) == CURLE_OK &&
        transfer && transfer->is_in_multi)
        transfer_lost_socket(transfer);
}

/* After -1 the multi handle is dead, and the call that drive() makes returns an error. */
static int on_curl_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *known)
{
    struct transfer_set *set = arg;
    struct socket_watch *watched = known;
    unsigned events = WATCH_NONE;

    if (what == CURL_POLL_REMOVE) {
        unwatch_socket(set, easy, watched);
        return 0;
    }
    if (!watched)
        watched = watch_socket(set, socket);
    if (!watched)
        return -1;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= WATCH_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= WATCH_WRITE;
    watch_set(watched->watch, events);
    return 0;
}

/* ---- life ---- */

static CURLMcode set_multi_options(struct transfer_set *set, CURLM *multi)
{
    const struct curl_api *curl = set->curl;
    CURLMcode code = FAILPOINT("transfer.multi")
                         ? CURLM_UNKNOWN_OPTION
                         : curl->multi_set(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);

    if (code == CURLM_OK)
        code = curl->multi_set(multi, CURLMOPT_SOCKETDATA, set);
    if (code == CURLM_OK)
        code = curl->multi_set(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    if (code == CURLM_OK)
        code = curl->multi_set(multi, CURLMOPT_TIMERDATA, set);
    if (code == CURLM_OK)
        code = curl->multi_set(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return code;
}

static void cleanup_multi(struct transfer_set *set)
{
    if (!set->multi)
        return;
    CURLMcode code = set->curl->multi_cleanup(set->multi);
    set->multi = NULL;
    set->is_broken = false;
    timer_stop(set->timer);
    if (code != CURLM_OK)
        log_failed_call(set, "curl_multi_cleanup", code);
}

static bool has_transfer_in_multi(const struct transfer_set *set)
{
    LIST_EACH (link, &set->transfers) {
        if (LIST_ITEM(link, struct transfer, link)->is_in_multi)
            return true;
    }
    return false;
}

int transfer_prepare_multi(struct transfer_set *set, struct error *err)
{
    if (set->multi && !set->is_broken)
        return 0;
    if (has_transfer_in_multi(set))
        return error_set(err, ERR_INTERNAL, "libcurl has failed; its transfers are being ended");
    cleanup_multi(set);
    int rc = curl_api_load(&set->curl, err);
    if (rc != 0)
        return rc;
    CURLM *multi = set->curl->multi_init();
    if (!multi)
        return error_set(err, ERR_INTERNAL, "curl_multi_init failed");
    CURLMcode code = set_multi_options(set, multi);
    set->multi = multi;
    if (code == CURLM_OK)
        return 0;
    cleanup_multi(set);
    return error_set(err, ERR_INTERNAL, "curl_multi_setopt: %s", set->curl->multi_text(code));
}

struct transfer_set *transfer_set_new(struct loop *loop, struct resolver *resolver,
                                      struct pool *pool)
{
    struct transfer_set *set = NEW(struct transfer_set);

    set->loop = loop;
    set->resolver = resolver;
    set->pool = pool;
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
    LIST_EACH (link, &gone->transfers)
        transfer_free(LIST_ITEM(link, struct transfer, link));
    cleanup_multi(gone);
    LIST_EACH (link, &gone->sockets) {
        struct socket_watch *watched = LIST_ITEM(link, struct socket_watch, link);

        loop_cancel_deferred(gone->loop, watched);
        free_socket(watched);
    }
    timer_free(&gone->timer);
    mem_free(gone);
}
