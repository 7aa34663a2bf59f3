/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a flight: asked for, resumed by Range, asked for again elsewhere. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/config.h"
#include "exchange.h"
#include "flight.h"
#include "follower.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "role.h"
#include "take.h"
#include "upstream.h"

#define PROGRESS_BYTES (64ul * 1024)
#define HEAD_MS        2000
#define BODY_MS        3000

/* ---- the pace ---- */

static void start_pace(struct flight *flight, uint64_t ms)
{
    flight->pace.is_slow = false;
    flight->pace.bytes = flight->take ? flight->take->queued : 0;
    timer_start(flight->pace.timer, ms);
}

void flight_hurry(struct flight *flight)
{
    if (!flight->exchange || !flight->pace.is_slow || !source_has_other(flight, false))
        return;
    flight_log(flight, LOG_WARN, "slow: another upstream is asked");
    exchange_cancel(&flight->exchange);
    flight->is_held = false;
    source_set_slow(flight->source);
    flight_request(flight);
}

void flight_on_pace(void *arg)
{
    struct flight *flight = arg;
    uint64_t bytes = flight->take ? flight->take->queued : 0;

    if (!flight->exchange)
        return;
    /* Of a blob without a size nobody gets anything before its end. */
    bool is_slow = flight->state == FLIGHT_REQUESTING || flight->size == UINT64_MAX ||
                   (!flight->is_held && bytes - flight->pace.bytes < PROGRESS_BYTES);
    start_pace(flight, BODY_MS);
    flight->pace.is_slow = is_slow;
    flight_hurry(flight);
}

/* ---- the head ---- */

/* "bytes 100-199/200": false when it is not exactly what follows our bytes. */
static bool is_right_range(const struct flight *flight, struct slice headers, uint64_t *out_total)
{
    struct slice value;
    struct slice first;
    struct slice last;
    uint64_t start = 0;
    uint64_t end = 0;
    struct error err;

    if (!transfer_header(headers, "Content-Range", &value) || !slice_starts_with(value, "bytes "))
        return false;
    value = slice_skip(value, strlen("bytes "));
    if (!slice_split(&value, '-', &first) || !slice_split(&value, '/', &last))
        return false;
    if (text_parse_u64(first, &start, &err) != 0 || text_parse_u64(last, &end, &err) != 0 ||
        text_parse_u64(value, out_total, &err) != 0)
        return false;
    return start == flight->requested_at && end >= start && end < *out_total &&
           end + 1 == *out_total;
}

static bool refuse(struct flight *flight, bool is_final, enum error_kind kind, const char *text)
{
    error_set(&flight->refusal.err, kind, "%s", text);
    flight->refusal.is_final = is_final;
    return false;
}

/* How long is the whole, by this head? UINT64_MAX: it does not say. */
static bool read_total(struct flight *flight, const struct exchange_answer *answer,
                       uint64_t *out_total)
{
    *out_total = answer->content_length;
    if (answer->status == 200) {
        if (flight->requested_at > 0) {
            flight_log(flight, LOG_INFO, "the upstream starts over");
            flight_start_over(flight);
            flight->requested_at = 0;
        }
        if (flight->take && answer->with_credentials && !flight->take->is_private)
            flight_start_over(flight); /* an empty one, but others may read it */
        return true;
    }
    if (flight->requested_at > 0 && is_right_range(flight, answer->headers, out_total) &&
        (flight->take->is_private || !answer->with_credentials))
        return true;
    flight_start_over(flight);
    return refuse(flight, false, ERR_UPSTREAM, "the upstream's range is not the one asked for");
}

/*
 * The digest is the proof of a blob, its size only what somebody said: a manifest, or an upstream
 * before. What an upstream said is doubted only when nobody was told of it, or when another size
 * is said again; what a manifest or a wrong take said, at once.
 */
static bool accept_total(struct flight *flight, uint64_t total)
{
    if (total == UINT64_MAX)
        return true;
    if (flight->size == UINT64_MAX || flight->size == total) {
        flight->size = total;
        flight->is_size_hint = false;
        return true;
    }
    if (flight_is_read(flight) && !flight->is_size_hint && flight->other_size != total) {
        flight->other_size = total;
        return refuse(flight, false, ERR_UPSTREAM, "the upstream's blob has another size");
    }
    flight_log(flight, LOG_WARN, "the blob has another size than was said before");
    if (!flight->is_size_hint)
        flight->is_strict = true; /* one of them is wrong */
    flight_set_size(flight, total);
    return true;
}

static bool on_head(const struct exchange_answer *answer, void *arg)
{
    struct flight *flight = arg;
    uint64_t total = UINT64_MAX;

    if (answer->with_credentials)
        flight_seclude(flight, flight->source->upstream);
    if (!read_total(flight, answer, &total))
        return false;
    if (!accept_total(flight, total))
        return false;
    if (total != UINT64_MAX && total > flight->fetcher->config->storage.blob_max)
        return refuse(flight, true, ERR_TOO_LARGE, "the blob is over storage.blob_max");
    if (!flight->take) {
        struct error err;
        if (flight_open_take(flight, answer->with_credentials, &err) != 0)
            return refuse(flight, true, err.kind, err.text);
    } else if (flight->requested_at > 0) {
        metrics_add(METRIC_flights_resumed, 1);
        flight_log(flight, LOG_INFO, "resumed");
    }
    /* There are only sources of its upstream, whose word this is. */
    if (flight_needs_proof(flight))
        source_set_state(flight->source, SOURCE_PROVEN);
    flight_set_state(flight, FLIGHT_STREAMING);
    start_pace(flight, BODY_MS);
    flight_admit_all(flight);
    return true;
}

/* ---- the body ---- */

static enum transfer_want on_data(struct slice bytes, void *arg)
{
    struct flight *flight = arg;
    struct take *take = flight->take;
    uint64_t limit = flight->size;

    if (flight->is_size_hint && take->queued + bytes.length > limit) {
        flight_log(flight, LOG_WARN, "the blob is longer than its manifest says");
        flight_set_size(flight, UINT64_MAX);
        limit = UINT64_MAX;
    }
    if (limit == UINT64_MAX)
        limit = flight->fetcher->config->storage.blob_max;
    if (take->queued + bytes.length > limit) {
        refuse(flight, false, ERR_UPSTREAM, "the upstream's blob is longer than it may be");
        return TRANSFER_ABORT;
    }
    switch (take_write(take, bytes)) {
    case TAKE_WRITTEN:
        break;
    case TAKE_BUSY:
        flight->is_held = true;
        return TRANSFER_PAUSE;
    case TAKE_FULL:
        refuse(flight, true, ERR_NO_SPACE,
               "the disk is full, and the blob is larger than the memory kept for it");
        return TRANSFER_ABORT;
    }
    if (take->queued - flight->requested_at >= PROGRESS_BYTES)
        retry_progress(&flight->retry);
    return TRANSFER_CONTINUE;
}

/* ---- failures ---- */

void flight_spend_source(struct flight *flight, const struct error *err, uint64_t retry_after)
{
    if (flight->source)
        flight->source->is_spent = true;
    flight->source = NULL;
    if (source_next(flight)) {
        flight_request(flight);
    } else {
        flight_fail(flight, err, retry_after);
    }
}

static void on_failure(struct flight *flight, const struct exchange_end *end)
{
    uint64_t delay_ms = 0;

    if (end->err.kind == ERR_CONFLICT) /* 416: what we have is not the beginning of that */
        flight_start_over(flight);
    if (end->is_final && flight->source) {
        source_remove(flight->source, &end->err);
        flight_spend_source(flight, &end->err, end->retry_after);
        return;
    }
    if (end->err.kind == ERR_BUSY || !flight->source ||
        !retry_next(&flight->retry, &flight->url, &delay_ms)) {
        flight_spend_source(flight, &end->err, end->retry_after);
        return;
    }
    flight_log(flight, LOG_WARN, end->err.text);
    flight_set_state(flight, FLIGHT_WAITING);
    timer_start(flight->timer, delay_ms);
}

static void on_whole(struct flight *flight)
{
    flight->size = flight->take->queued;
    flight->is_size_hint = false;
    flight_set_state(flight, FLIGHT_VERIFYING);
    take_finish(flight->take);
}

static void on_done(const struct exchange_end *end, void *arg)
{
    struct flight *flight = arg;
    struct exchange_end outcome = *end;

    flight->exchange = NULL;
    flight->is_held = false;
    if (flight->refusal.err.kind != ERR_NONE) {
        outcome = (struct exchange_end){.err = flight->refusal.err};
        flight->refusal.err.kind = ERR_NONE;
        if (flight->refusal.is_final) {
            flight_fail(flight, &outcome.err, 0);
            return;
        }
    } else if (end->err.kind == ERR_NONE) {
        if (flight->size == UINT64_MAX || flight->is_size_hint ||
            flight->take->queued == flight->size) {
            on_whole(flight);
            return;
        }
        error_set(&outcome.err, ERR_UPSTREAM, "the upstream's blob is shorter than it says");
    }
    on_failure(flight, &outcome);
}

static const struct exchange_handler flight_exchange = {
    .on_head = on_head,
    .on_data = on_data,
    .on_done = on_done,
};

/* ---- asking ---- */

void flight_request(struct flight *flight)
{
    char path[512];
    struct source *next = source_next(flight);

    CHECK(!flight->exchange);
    if (!next) {
        struct error err;
        error_set(&err, ERR_UPSTREAM, "no upstream is left to ask");
        flight_fail(flight, &err, 0);
        return;
    }
    if (next != flight->source) {
        flight->source = next;
        flight->mismatches = 0;
        flight->is_mixed = flight->take && flight->take->queued > 0;
        flight->url = 0;
        retry_init(&flight->retry, flight->fetcher->config->fetch.retries,
                   next->upstream->url_count);
    }
    flight->requested_at = flight->take ? flight->take->queued : 0;
    flight->refusal.err.kind = ERR_NONE;
    flight_set_state(flight, FLIGHT_REQUESTING);
    if (flight->size != UINT64_MAX && !flight->is_size_hint && flight->requested_at > 0 &&
        flight->requested_at == flight->size) {
        on_whole(flight);
        return;
    }
    source_print_blob_path(slice_of(next->repository), &flight->digest, path, sizeof(path));
    struct exchange_request request = {
        .upstream = next->upstream,
        .first_url = flight->url,
        .method = TRANSFER_GET,
        .repository = slice_of(next->repository),
        .path = path,
        .range_start = flight->requested_at,
        .is_blob = true,
    };
    flight->exchange = exchange_start(&request, &flight_exchange, flight);
    start_pace(flight, HEAD_MS);
}

void flight_begin(struct flight *flight)
{
    struct error err;

    CHECK(flight->state == FLIGHT_STARTING);
    if (!flight->take && flight_adopt_take(flight, &err) == 0) {
        flight_set_state(flight, FLIGHT_HASHING);
    } else {
        flight_request(flight);
    }
}
