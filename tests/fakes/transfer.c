/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers against a script, on the fake loop: head, body in pieces of 16 KiB, end, each in a turn
 * of its own, so that everything can happen in between.
 */
#include "fakes/transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/text.h"
#include "net/loop.h"

#define REQUESTS_MAX 1000
#define PIECE        (16ul * 1024)

static struct {
    fake_upstream_fn *fn;
    void *arg;
    struct fake_request requests[REQUESTS_MAX];
    size_t count;
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
    struct error err;
};

void fake_upstream_set(fake_upstream_fn *fn, void *arg)
{
    upstream.fn = fn;
    upstream.arg = arg;
    upstream.count = 0;
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
    for (size_t i = 0; i < upstream.count; i++)
        count += strstr(upstream.requests[i].url, part) != NULL;
    return count;
}

static void transfer_free(struct transfer *transfer)
{
    loop_cancel_deferred(transfer->set->loop, transfer);
    list_remove(&transfer->link);
    timer_free(&transfer->timer);
    buf_cleanup(&transfer->headers);
    mem_free(transfer);
}

static void end(struct transfer *transfer, enum error_kind kind, const char *text)
{
    struct error err;
    if (kind != ERR_NONE)
        error_set(&err, kind, "%s", text);
    transfer->handler->on_done(transfer, kind == ERR_NONE ? NULL : &err, transfer->arg);
    transfer_free(transfer);
}

static void step(void *arg);

static void next_step(struct transfer *transfer)
{
    uint64_t pause_ms = transfer->answer.pause_ms;
    uint64_t left_ms = monotime_since(transfer->ends_at, clock_mono());

    if (pause_ms > 0) {
        timer_start(transfer->timer, pause_ms < left_ms ? pause_ms : left_ms);
    } else {
        loop_defer(transfer->set->loop, step, transfer);
    }
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

/* One piece; false when the transfer is over or waits. */
static void send_piece(struct transfer *transfer)
{
    const struct fake_answer *answer = &transfer->answer;
    uint64_t limit = answer->is_cut ? answer->cut_at : answer->body.length;
    uint64_t most = answer->piece > 0 ? answer->piece : PIECE;
    uint64_t length = limit - transfer->sent < most ? limit - transfer->sent : most;

    if (length == 0) {
        if (answer->is_cut) {
            end(transfer, answer->failure ? answer->failure : ERR_UPSTREAM, "cut");
        } else {
            end(transfer, ERR_NONE, "");
        }
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
        end(transfer, ERR_CANCELLED, "not wanted");
        break;
    }
}

static void step(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->is_paused)
        return;
    if (clock_mono().ms >= transfer->ends_at.ms)
        error_set(&transfer->err, ERR_TIMEOUT, "the answer took too long");
    if (transfer->err.kind != ERR_NONE) {
        end(transfer, transfer->err.kind, transfer->err.text);
    } else if (!transfer->has_head && transfer->answer.status == 0) {
        end(transfer, transfer->answer.failure, "connection refused");
    } else if (!transfer->has_head) {
        if (!send_head(transfer)) {
            end(transfer, ERR_CANCELLED, "not wanted");
        } else if (transfer->is_head_only) {
            end(transfer, ERR_NONE, "");
        } else {
            next_step(transfer);
        }
    } else {
        send_piece(transfer);
    }
}

static bool may_connect(const struct transfer_request *request, const char *address, void *arg)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    CHECK(inet_pton(AF_INET, address ? address : "93.184.216.34", &v4.sin_addr) == 1);
    return !request->may_connect ||
           request->may_connect((const struct sockaddr *)(const void *)&v4, arg);
}

static struct fake_request *note(const struct transfer_request *request)
{
    CHECK(upstream.count < REQUESTS_MAX);
    struct fake_request *noted = &upstream.requests[upstream.count++];
    struct slice value;
    struct slice number;

    *noted = (struct fake_request){.method = request->method};
    (void)snprintf(noted->url, sizeof(noted->url), "%s", request->url);
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
        return error_set(err, ERR_INVALID, "not an http or https address");
    struct transfer *transfer = NEW(struct transfer);
    transfer->set = set;
    transfer->handler = handler;
    transfer->arg = arg;
    transfer->timer = timer_new(set->loop, step, transfer);
    transfer->is_head_only = request->method == TRANSFER_HEAD;
    transfer->ends_at = monotime_add(
        clock_mono(), request->total_timeout_ms > 0 ? request->total_timeout_ms : UINT64_MAX);
    buf_init(&transfer->headers, 65536);
    list_append(&set->transfers, &transfer->link);

    struct fake_request *noted = note(request);
    CHECK(upstream.fn);
    upstream.fn(noted, &transfer->answer, upstream.arg);
    noted->is_refused = !may_connect(request, transfer->answer.address, arg);
    if (noted->is_refused) {
        error_set(&transfer->err, ERR_DENIED, "the address is not allowed");
    } else if (transfer->answer.delay_ms > request->head_timeout_ms) {
        error_set(&transfer->err, ERR_TIMEOUT, "no answer in time");
    }
    uint64_t delay_ms =
        transfer->err.kind == ERR_TIMEOUT ? request->head_timeout_ms : transfer->answer.delay_ms;
    if (delay_ms > 0) {
        timer_start(transfer->timer, delay_ms);
    } else {
        loop_defer(set->loop, step, transfer);
    }
    *out = transfer;
    return 0;
}

static void resume(void *arg)
{
    struct transfer *transfer = arg;
    if (!transfer->is_paused)
        return;
    transfer->is_paused = false;
    step(transfer);
}

void transfer_resume(struct transfer *transfer)
{
    loop_defer(transfer->set->loop, resume, transfer);
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

struct transfer_set *transfer_set_new(struct loop *loop, struct resolver *resolver)
{
    struct transfer_set *set = NEW(struct transfer_set);

    (void)resolver;
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
