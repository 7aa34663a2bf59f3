/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers against a script, on the fake loop. The head, each piece of the body and the end come
 * in turns of their own, so that a test can do anything in between.
 */
#include "fakes/transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/text.h"
#include "net/loop.h"

#define REQUESTS_MAX 1000
#define PIECE        (16ul * 1024)
#define BODY_MAX     (16ul * 1024 * 1024)

static struct {
    fake_upstream_fn *fn;
    void *arg;
    struct fake_request requests[REQUESTS_MAX];
    size_t count;
    uint64_t answer_after; /* bytes of a body */
} upstream;

struct transfer_set {
    struct loop *loop;
    struct list transfers;
};

struct transfer {
    struct list link;
    struct transfer_set *set;
    const struct transfer_handler *handler;
    void *arg;
    struct fake_answer answer;
    struct timer *timer;
    struct buf headers;
    uint64_t sent;
    struct monotime ends_at;
    bool has_head;
    bool is_paused;
    bool is_head_only;
    bool is_answered; /* the script was asked */
    uint64_t head_timeout_ms;
    struct fake_request *noted;
    bool (*may_connect)(const struct sockaddr *address, bool is_proxy, void *arg);
    struct fake_body {
        struct buf bytes;
        int fd; /* -1: none */
        uint64_t offset;
        uint64_t length;
        uint64_t available;
        bool is_ended;
    } body;
    struct error err;
};

static void forget_requests(void)
{
    for (size_t i = 0; i < upstream.count; i++) {
        mem_free((void *)(uintptr_t)upstream.requests[i].unix_socket);
        mem_free((void *)(uintptr_t)upstream.requests[i].body.data);
    }
    upstream.count = 0;
}

void fake_upstream_set(fake_upstream_fn *fn, void *arg)
{
    static bool is_known;

    if (!is_known)
        is_known = atexit(forget_requests) == 0;
    forget_requests();
    upstream.fn = fn;
    upstream.arg = arg;
    upstream.answer_after = UINT64_MAX;
}

void fake_upstream_answer_after(uint64_t length)
{
    upstream.answer_after = length;
}

size_t fake_upstream_count(void)
{
    return upstream.count;
}

const struct fake_request *fake_upstream_at(size_t index)
{
    CHECK(index < upstream.count);
    return &upstream.requests[index];
}

size_t fake_upstream_count_of(const char *part)
{
    size_t count = 0;

    for (size_t i = 0; i < upstream.count; i++) {
        if (strstr(upstream.requests[i].url, part))
            count++;
    }
    return count;
}

static void transfer_free(struct transfer *transfer)
{
    loop_cancel_deferred(transfer->set->loop, transfer);
    list_remove(&transfer->link);
    timer_free(&transfer->timer);
    buf_cleanup(&transfer->headers);
    buf_cleanup(&transfer->body.bytes);
    fd_close(&transfer->body.fd);
    mem_free(transfer);
}

static void end_transfer(struct transfer *transfer, enum error_kind kind, const char *text)
{
    struct error err;

    if (kind != ERR_NONE)
        error_set(&err, kind, "%s", text);
    transfer->handler->on_done(transfer, kind == ERR_NONE ? NULL : &err, transfer->arg);
    transfer_free(transfer);
}

static void on_step(void *arg);

static void next_step(struct transfer *transfer)
{
    uint64_t pause_ms = transfer->answer.pause_ms;
    uint64_t left_ms = monotime_since(transfer->ends_at, clock_mono());

    if (pause_ms > 0)
        timer_start(transfer->timer, pause_ms < left_ms ? pause_ms : left_ms);
    else
        loop_defer(transfer->set->loop, on_step, transfer);
}

static bool send_head(struct transfer *transfer)
{
    const struct fake_answer *answer = &transfer->answer;
    struct transfer_response response = {
        .status = answer->status,
        .content_length = answer->has_no_length ? UINT64_MAX : answer->body.length,
    };

    if (answer->headers)
        buf_append_text(&transfer->headers, answer->headers);
    response.headers = buf_bytes(&transfer->headers);
    transfer->has_head = true;
    return transfer->handler->on_head(transfer, &response, transfer->arg);
}

/* Sends one piece, or ends the transfer. */
static void send_piece(struct transfer *transfer)
{
    const struct fake_answer *answer = &transfer->answer;
    uint64_t limit = answer->is_cut ? answer->cut_at : answer->body.length;
    uint64_t max = answer->piece > 0 ? answer->piece : PIECE;
    uint64_t length = limit - transfer->sent < max ? limit - transfer->sent : max;

    if (length == 0) {
        if (answer->is_cut)
            end_transfer(transfer, answer->failure ? answer->failure : ERR_UPSTREAM, "cut");
        else
            end_transfer(transfer, ERR_NONE, "");
        return;
    }
    struct slice piece = slice_from(answer->body.data + transfer->sent, (size_t)length);
    switch (transfer->handler->on_data(transfer, piece, transfer->arg)) {
    case TRANSFER_CONTINUE:
        transfer->sent += length;
        next_step(transfer);
        break;
    case TRANSFER_PAUSE:
        transfer->is_paused = true;
        break;
    case TRANSFER_ABORT:
        end_transfer(transfer, ERR_CANCELLED, "the receiver cancelled it");
        break;
    }
}

static void on_step(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->is_paused)
        return;
    if (clock_mono().ms >= transfer->ends_at.ms)
        error_set(&transfer->err, ERR_TIMEOUT, "the answer took too long");
    if (transfer->err.kind != ERR_NONE) {
        end_transfer(transfer, transfer->err.kind, transfer->err.text);
    } else if (!transfer->has_head && transfer->answer.status == 0) {
        end_transfer(transfer, transfer->answer.failure, "connection refused");
    } else if (!transfer->has_head) {
        if (!send_head(transfer))
            end_transfer(transfer, ERR_CANCELLED, "the receiver cancelled it");
        else if (transfer->is_head_only)
            end_transfer(transfer, ERR_NONE, "");
        else
            next_step(transfer);
    } else {
        send_piece(transfer);
    }
}

static bool is_address_allowed(const struct transfer *transfer, const char *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    CHECK(inet_pton(AF_INET, address ? address : "93.184.216.34", &v4.sin_addr) == 1);
    return !transfer->may_connect || transfer->noted->unix_socket ||
           transfer->may_connect((const struct sockaddr *)(const void *)&v4,
                                 transfer->noted->proxy[0] != '\0', transfer->arg);
}

/* ---- the body of a request ---- */

static void read_body(struct fake_body *body)
{
    size_t have = buf_bytes(&body->bytes).length;
    size_t more = (size_t)(body->available - have);
    char *room = more > 0 && body->fd >= 0 ? buf_reserve(&body->bytes, more) : NULL;
    struct error err;

    if (!room)
        return;
    CHECK(fd_pread_all(body->fd, room, more, body->offset + have, &err) == 0);
    buf_added(&body->bytes, more);
}

/* Asks the script. Its answer begins in the next turn, or after its delay. */
static void begin_answer(struct transfer *transfer)
{
    struct fake_request *noted = transfer->noted;
    struct slice body = buf_bytes(&transfer->body.bytes);

    CHECK(upstream.fn);
    transfer->is_answered = true;
    noted->body = slice_from(slice_dup(body), body.length);
    noted->is_body_whole = transfer->body.is_ended;
    upstream.fn(noted, &transfer->answer, upstream.arg);
    noted->is_refused = !is_address_allowed(transfer, transfer->answer.address);
    if (noted->is_refused)
        error_set(&transfer->err, ERR_DENIED, "the address is not allowed");
    else if (transfer->answer.delay_ms > transfer->head_timeout_ms)
        error_set(&transfer->err, ERR_TIMEOUT, "no answer in time");
    uint64_t delay_ms =
        transfer->err.kind == ERR_TIMEOUT ? transfer->head_timeout_ms : transfer->answer.delay_ms;
    timer_stop(transfer->timer);
    if (delay_ms > 0)
        timer_start(transfer->timer, delay_ms);
    else
        loop_defer(transfer->set->loop, on_step, transfer);
}

static void check_body(struct transfer *transfer)
{
    struct fake_body *body = &transfer->body;

    read_body(body);
    if (!transfer->is_answered && (body->is_ended || body->available >= upstream.answer_after))
        begin_answer(transfer);
}

static int plan_body(struct transfer *transfer, const struct transfer_request *request,
                     struct error *err)
{
    const struct transfer_body *from = request->body;
    struct fake_body *body = &transfer->body;

    buf_init(&body->bytes, BODY_MAX);
    body->fd = -1;
    body->is_ended = true;
    if (!from)
        return 0;
    if (request->method == TRANSFER_GET || request->method == TRANSFER_HEAD)
        return error_set(err, ERR_INVALID, "a GET or HEAD has no body");
    if (!from->is_file) {
        buf_append_slice(&body->bytes, from->bytes);
        body->available = from->bytes.length;
        return 0;
    }
    body->offset = from->offset;
    body->length = from->length;
    body->available = from->available;
    body->is_ended = from->available == from->length;
    return fd_dup(from->fd, &body->fd, err);
}

static void fail_body(struct transfer *transfer, const char *text)
{
    error_set(&transfer->err, ERR_INVALID, "%s", text);
    transfer->is_answered = true;
    loop_defer(transfer->set->loop, on_step, transfer);
}

void transfer_body_grew(struct transfer *transfer, uint64_t available)
{
    struct fake_body *body = &transfer->body;

    if (body->is_ended || available <= body->available)
        return;
    if (available > body->length) {
        fail_body(transfer, "the body is longer than its declared length");
        return;
    }
    body->available = available;
    body->is_ended = available == body->length;
    check_body(transfer);
}

void transfer_body_end(struct transfer *transfer)
{
    struct fake_body *body = &transfer->body;

    if (body->is_ended)
        return;
    if (body->length != UINT64_MAX) {
        fail_body(transfer, "the body is shorter than its declared length");
        return;
    }
    body->is_ended = true;
    check_body(transfer);
}

/* ---- the request ---- */

static struct fake_request *note(const struct transfer_request *request)
{
    CHECK(upstream.count < REQUESTS_MAX);
    struct fake_request *noted = &upstream.requests[upstream.count++];
    struct slice value;
    struct slice number;

    *noted = (struct fake_request){.method = request->method};
    noted->unix_socket = request->unix_socket ? mem_strdup(request->unix_socket) : NULL;
    (void)snprintf(noted->url, sizeof(noted->url), "%s", request->url);
    (void)snprintf(noted->proxy, sizeof(noted->proxy), "%s", request->proxy ? request->proxy : "");
    for (const char *const *header = request->headers; header && *header; header++) {
        size_t used = strlen(noted->headers);

        (void)snprintf(noted->headers + used, sizeof(noted->headers) - used, "%s\r\n", *header);
    }
    if (transfer_header(slice_of(noted->headers), "Range", &value)) {
        struct error err;

        value = slice_skip(value, strlen("bytes="));
        CHECK(slice_split(&value, '-', &number));
        CHECK(text_parse_u64(number, &noted->range_start, &err) == 0);
    }
    return noted;
}

int transfer_start(struct transfer_set *set, const struct transfer_request *request,
                   const struct transfer_handler *handler, void *arg, struct transfer **out,
                   struct error *err)
{
    struct url_parts parts;

    if (!url_split(slice_of(request->url), &parts))
        return error_set(err, ERR_INVALID, "not an http or https URL");
    struct transfer *transfer = NEW(struct transfer);
    transfer->set = set;
    transfer->handler = handler;
    transfer->arg = arg;
    transfer->timer = timer_new(set->loop, on_step, transfer);
    transfer->is_head_only = request->method == TRANSFER_HEAD;
    transfer->ends_at = monotime_add(
        clock_mono(), request->total_timeout_ms > 0 ? request->total_timeout_ms : UINT64_MAX);
    transfer->may_connect = request->may_connect;
    transfer->head_timeout_ms =
        request->head_timeout_ms > 0 ? request->head_timeout_ms : UINT64_MAX;
    buf_init(&transfer->headers, 65536);
    list_append(&set->transfers, &transfer->link);
    int rc = plan_body(transfer, request, err);
    if (rc != 0) {
        transfer_free(transfer);
        return rc;
    }
    transfer->noted = note(request);
    if (request->total_timeout_ms > 0)
        timer_start(transfer->timer, request->total_timeout_ms);
    check_body(transfer);
    *out = transfer;
    return 0;
}

static void on_resume(void *arg)
{
    struct transfer *transfer = arg;

    if (!transfer->is_paused)
        return;
    transfer->is_paused = false;
    on_step(transfer);
}

void transfer_resume(struct transfer *transfer)
{
    loop_defer(transfer->set->loop, on_resume, transfer);
}

void transfer_limit(struct transfer *transfer, uint64_t ms)
{
    struct monotime end = monotime_add(clock_mono(), ms);

    if (end.ms < transfer->ends_at.ms)
        transfer->ends_at = end;
}

void transfer_cancel(struct transfer **transfer)
{
    struct transfer *gone = TAKE(*transfer);

    if (gone)
        transfer_free(gone);
}

struct transfer_set *transfer_set_new(struct loop *loop, struct resolver *resolver,
                                      struct pool *pool)
{
    struct transfer_set *set = NEW(struct transfer_set);

    (void)resolver;
    (void)pool;
    set->loop = loop;
    list_init(&set->transfers);
    return set;
}

void transfer_set_free(struct transfer_set **set)
{
    struct transfer_set *gone = TAKE(*set);

    if (!gone)
        return;
    while (!list_is_empty(&gone->transfers))
        transfer_free(LIST_ITEM(gone->transfers.next, struct transfer, link));
    mem_free(gone);
}
