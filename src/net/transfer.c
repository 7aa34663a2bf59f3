/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers by libcurl's multi interface on our loop. (door: libcurl)
 *
 *   starting --head--> body --end--> finished --deferred--> on_done, freed
 *      |                 |              ^
 *      +---- error, timeout, refusal ---+        cancel: silent, freed after the turn
 *
 * libcurl must not be called back into from its own callbacks beyond what its manual allows, so
 * everything that ends a transfer is deferred to the end of the turn.
 */
#include "net/transfer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/text.h"
#include "net/loop.h"
#include "transfer_curl.h"

#define HEAD_MAX    (64ul * 1024)
#define BUFFER_SIZE (256L * 1024)

struct transfer_set {
    struct loop *loop;
    const struct curl_api *curl; /* NULL until the first transfer */
    CURLM *multi;
    struct timer *timer; /* libcurl's */
    struct list transfers;
    struct list sockets;
    bool is_inside; /* libcurl is running */
};

/* One descriptor that libcurl wants watched; freed after the turn in which it is let go. */
struct socket_watch {
    struct list link;
    struct transfer_set *set;
    struct watch *watch;
    curl_socket_t socket;
};

enum transfer_state {
    TRANSFER_STARTING, /* no final head yet */
    TRANSFER_BODY,
    TRANSFER_FINISHED,  /* on_done is deferred */
    TRANSFER_CANCELLED, /* nothing more is said */
};

struct transfer {
    struct list link;
    struct transfer_set *set;
    const struct transfer_handler *handler;
    void *arg;
    enum transfer_state state;
    CURL *easy;
    struct curl_slist *headers;
    bool (*may_connect)(const struct sockaddr *address, void *arg);
    struct buf head;
    struct timer *timer; /* head_timeout, then stall_timeout; or ends_at, when that is sooner */
    struct monotime ends_at;
    uint64_t head_timeout_ms;
    uint64_t stall_timeout_ms;
    struct monotime last_byte;
    bool is_paused;
    bool was_refused; /* may_connect said no */
    bool is_in_multi;
    struct error err; /* how it ended; ERR_NONE: well */
};

static void transfer_set_state(struct transfer *transfer, enum transfer_state next)
{
    CHECK(next > transfer->state);
    transfer->state = next;
}

/* Wake up after so long, or when it must be whole. */
static void start_timer(struct transfer *transfer, uint64_t ms)
{
    uint64_t left_ms = monotime_since(transfer->ends_at, clock_mono());
    timer_start(transfer->timer, ms < left_ms ? ms : left_ms);
}

/* ---- the end of a transfer ---- */

static void transfer_free(struct transfer *transfer)
{
    const struct curl_api *curl = transfer->set->curl;

    CHECK(!transfer->set->is_inside);
    loop_cancel_deferred(transfer->set->loop, transfer);
    list_remove(&transfer->link);
    if (transfer->is_in_multi)
        curl->multi_remove(transfer->set->multi, transfer->easy);
    curl->easy_cleanup(transfer->easy);
    curl->list_free(transfer->headers);
    timer_free(&transfer->timer);
    buf_cleanup(&transfer->head);
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

static void transfer_finish(struct transfer *transfer)
{
    if (transfer->state >= TRANSFER_FINISHED)
        return;
    transfer_set_state(transfer, TRANSFER_FINISHED);
    timer_stop(transfer->timer);
    loop_defer(transfer->set->loop, on_finished, transfer);
}

void transfer_cancel(struct transfer **transfer)
{
    struct transfer *gone = TAKE(*transfer);

    if (!gone || gone->state == TRANSFER_CANCELLED)
        return;
    transfer_set_state(gone, TRANSFER_CANCELLED);
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

/* ---- what libcurl tells of one transfer ---- */

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = arg;

    (void)purpose;
    if (transfer->state >= TRANSFER_FINISHED)
        return CURL_SOCKET_BAD;
    if (transfer->may_connect && !transfer->may_connect(&address->addr, transfer->arg)) {
        transfer->was_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);
}

/* The body's length, where the head frames it in one way only. Two ways are an attack or a bug:
 * refused, and so is a coding of which libcurl may think something else than who sent it. */
static bool read_length(struct slice headers, uint64_t *out)
{
    struct slice line;
    bool is_chunked = false;
    bool has_length = false;

    *out = UINT64_MAX;
    while (slice_split(&headers, '\n', &line)) {
        struct slice value;
        struct error err;
        uint64_t length = 0;
        if (transfer_header(line, "Transfer-Encoding", &value)) {
            if (is_chunked || !slice_is_nocase(value, "chunked"))
                return false;
            is_chunked = true;
        }
        if (!transfer_header(line, "Content-Length", &value))
            continue;
        if (text_parse_u64(value, &length, &err) != 0 || (has_length && length != *out))
            return false;
        has_length = true;
        *out = length;
    }
    return !(is_chunked && has_length);
}

static bool head_ended(struct transfer *transfer)
{
    struct transfer_response response = {.content_length = UINT64_MAX};
    struct slice head = buf_bytes(&transfer->head);
    ptrdiff_t end = slice_find(head, '\n');
    long status = 0;

    transfer->set->curl->easy_get(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) {
        buf_clear(&transfer->head);
        return true;
    }
    response.status = (int)status;
    response.headers = slice_skip(head, end < 0 ? 0 : (size_t)end + 1);
    if (!read_length(response.headers, &response.content_length)) {
        error_set(&transfer->err, ERR_UPSTREAM, "the length of the answer is ambiguous");
        return false;
    }
    transfer_set_state(transfer, TRANSFER_BODY);
    transfer->last_byte = clock_mono();
    start_timer(transfer, transfer->stall_timeout_ms);
    bool goes_on = transfer->handler->on_head(transfer, &response, transfer->arg);
    if (!goes_on && transfer->state == TRANSFER_BODY)
        error_set(&transfer->err, ERR_CANCELLED, "not wanted");
    return goes_on;
}

static size_t on_curl_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t length = size * count;
    struct slice line = slice_from(data, length);

    if (transfer->state >= TRANSFER_FINISHED)
        return 0;
    if (transfer->state == TRANSFER_BODY) /* a trailer */
        return length;
    if (slice_is(line, "\r\n") || slice_is(line, "\n"))
        return head_ended(transfer) ? length : 0;
    if (slice_starts_with(line, "HTTP/"))
        buf_clear(&transfer->head);
    buf_append_slice(&transfer->head, line);
    if (transfer->head.is_over) {
        error_set(&transfer->err, ERR_TOO_LARGE, "the head of the answer is over 64 KiB");
        return 0;
    }
    return length;
}

static size_t on_curl_data(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t length = size * count;

    if (transfer->state >= TRANSFER_FINISHED)
        return 0;
    transfer->last_byte = clock_mono();
    switch (transfer->handler->on_data(transfer, slice_from(data, length), transfer->arg)) {
    case TRANSFER_CONTINUE:
        return length;
    case TRANSFER_PAUSE:
        transfer->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    case TRANSFER_ABORT:
        break;
    }
    if (transfer->state < TRANSFER_FINISHED)
        error_set(&transfer->err, ERR_CANCELLED, "not wanted");
    return 0;
}

static void on_transfer_timer(void *arg)
{
    struct transfer *transfer = arg;
    struct monotime now = clock_mono();

    if (now.ms >= transfer->ends_at.ms) {
        error_set(&transfer->err, ERR_TIMEOUT, "the answer took too long");
        transfer_finish(transfer);
        return;
    }
    if (transfer->state == TRANSFER_STARTING) {
        error_set(&transfer->err, ERR_TIMEOUT, "no answer within %llu ms",
                  (unsigned long long)transfer->head_timeout_ms);
        transfer_finish(transfer);
        return;
    }
    uint64_t quiet_ms = monotime_since(now, transfer->last_byte);
    if (transfer->is_paused || quiet_ms < transfer->stall_timeout_ms) {
        uint64_t left = transfer->is_paused ? 0 : quiet_ms;
        start_timer(transfer, transfer->stall_timeout_ms - left);
        return;
    }
    error_set(&transfer->err, ERR_TIMEOUT, "no byte within %llu ms",
              (unsigned long long)transfer->stall_timeout_ms);
    transfer_finish(transfer);
}

static void on_resume(void *arg)
{
    struct transfer *transfer = arg;
    struct transfer_set *set = transfer->set;

    if (transfer->state >= TRANSFER_FINISHED || !transfer->is_paused)
        return;
    transfer->is_paused = false;
    transfer->last_byte = clock_mono();
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
    start_timer(transfer, ms);
}

/* ---- starting ---- */

static void set_options(struct transfer *transfer, const struct transfer_request *request)
{
    const struct curl_api *curl = transfer->set->curl;
    CURL *easy = transfer->easy;

    curl->easy_set(easy, CURLOPT_PRIVATE, transfer);
    curl->easy_set(easy, CURLOPT_URL, request->url);
    curl->easy_set(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->easy_set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_set(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl->easy_set(easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    curl->easy_set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl->easy_set(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl->easy_set(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl->easy_set(easy, CURLOPT_PATH_AS_IS, 1L);
    curl->easy_set(easy, CURLOPT_PROXY, request->proxy ? request->proxy : "");
    curl->easy_set(easy, CURLOPT_NOPROXY, "");
    curl->easy_set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl->easy_set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl->easy_set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    curl->easy_set(easy, CURLOPT_USERAGENT, "entrepot");
    curl->easy_set(easy, CURLOPT_NOBODY, request->method == TRANSFER_HEAD ? 1L : 0L);
    if (request->ca_file)
        curl->easy_set(easy, CURLOPT_CAINFO, request->ca_file);
    for (const char *const *header = request->headers; header && *header; header++)
        transfer->headers = curl->list_append(transfer->headers, *header);
    curl->easy_set(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl->easy_set(easy, CURLOPT_HEADERFUNCTION, on_curl_header);
    curl->easy_set(easy, CURLOPT_HEADERDATA, transfer);
    curl->easy_set(easy, CURLOPT_WRITEFUNCTION, on_curl_data);
    curl->easy_set(easy, CURLOPT_WRITEDATA, transfer);
    curl->easy_set(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl->easy_set(easy, CURLOPT_OPENSOCKETDATA, transfer);
}

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

static void on_start(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->state >= TRANSFER_FINISHED)
        return;
    transfer->set->curl->multi_add(transfer->set->multi, transfer->easy);
    transfer->is_in_multi = true;
}

int transfer_start(struct transfer_set *set, const struct transfer_request *request,
                   const struct transfer_handler *handler, void *arg, struct transfer **out,
                   struct error *err)
{
    struct url_parts parts;

    if (!url_split(slice_of(request->url), &parts))
        return error_set(err, ERR_INVALID, "not an http or https address");
    int rc = prepare_set(set, err);
    if (rc != 0)
        return rc;
    CURL *easy = set->curl->easy_init();
    if (!easy)
        return error_set(err, ERR_INTERNAL, "libcurl gives no handle");
    struct transfer *transfer = NEW(struct transfer);
    transfer->set = set;
    transfer->easy = easy;
    transfer->handler = handler;
    transfer->arg = arg;
    transfer->may_connect = request->may_connect;
    transfer->head_timeout_ms = request->head_timeout_ms;
    transfer->stall_timeout_ms = request->stall_timeout_ms;
    transfer->timer = timer_new(set->loop, on_transfer_timer, transfer);
    buf_init(&transfer->head, HEAD_MAX);
    list_append(&set->transfers, &transfer->link);
    set_options(transfer, request);
    transfer->ends_at = monotime_add(
        clock_mono(), request->total_timeout_ms > 0 ? request->total_timeout_ms : UINT64_MAX);
    start_timer(transfer, request->head_timeout_ms);
    /* libcurl refuses it inside one of its callbacks. */
    loop_defer(set->loop, on_start, transfer);
    *out = transfer;
    return 0;
}

struct transfer_set *transfer_set_new(struct loop *loop)
{
    struct transfer_set *set = NEW(struct transfer_set);
    set->loop = loop;
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
