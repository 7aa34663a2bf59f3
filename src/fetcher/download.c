/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See download.h. The file follows the order of a download: where to begin, asking, the head, the
 * body, the end of an exchange, the digest. A step that fails ends in on_download_failure or
 * on_digest_wrong, which choose what to ask next.
 */
#include "download.h"

#include "base/check.h"
#include "config/config.h"
#include "exchange.h"
#include "flight.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "oci/byte_range.h"
#include "role.h"
#include "spool_index.h"
#include "store/store.h"
#include "take.h"
#include "upstream.h"

#define PROGRESS_BYTES (64ul * 1024)
#define HEAD_MS        2000
#define BODY_MS        3000
#define RESERVE_BYTES  (64ul * 1024 * 1024) /* of the disk that downloads leave free */
#define NAMES_TRIED    8

#define TO(state) (1u << DOWNLOAD_##state)
static const unsigned moves[DOWNLOAD_STATES] = {
    [DOWNLOAD_IDLE] = TO(HASHING) | TO(REQUESTING),
    [DOWNLOAD_HASHING] = TO(REQUESTING) | TO(VERIFYING) | TO(IDLE),
    [DOWNLOAD_REQUESTING] = TO(STREAMING) | TO(WAITING) | TO(VERIFYING) | TO(REQUESTING) | TO(IDLE),
    [DOWNLOAD_STREAMING] = TO(VERIFYING) | TO(WAITING) | TO(REQUESTING) | TO(IDLE),
    [DOWNLOAD_WAITING] = TO(REQUESTING) | TO(IDLE),
    [DOWNLOAD_VERIFYING] = TO(WHOLE) | TO(REQUESTING) | TO(IDLE),
    [DOWNLOAD_WHOLE] = TO(IDLE),
};
#undef TO

static const char *const state_names[DOWNLOAD_STATES] = {
    [DOWNLOAD_IDLE] = "idle",
    [DOWNLOAD_HASHING] = "hashing",
    [DOWNLOAD_REQUESTING] = "requesting",
    [DOWNLOAD_STREAMING] = "streaming",
    [DOWNLOAD_WAITING] = "waiting",
    [DOWNLOAD_VERIFYING] = "verifying",
    [DOWNLOAD_WHOLE] = "whole",
};

static const struct exchange_handler download_exchange;
static const struct take_handler download_take;

static void ask_source(struct download *download);
static void on_download_failure(struct download *download, const struct exchange_end *end);

static struct fetcher *fetcher_of(const struct download *download)
{
    return download->flight->fetcher;
}

/* A drain waits for what is being verified: it is about to be stored. */
static void download_set_state(struct download *download, enum download_state next)
{
    enum download_state old = download->state;

    CHECK((moves[old] & (1u << next)) != 0);
    flight_log(download->flight, LOG_DEBUG, state_names[next]);
    download->state = next;
    if (next == DOWNLOAD_VERIFYING)
        drain_hold(fetcher_of(download));
    else if (old == DOWNLOAD_VERIFYING)
        drain_release(fetcher_of(download));
}

/* ---- takes ---- */

static unsigned mark_of(const struct upstream *upstream)
{
    return upstream ? take_mark(upstream->name) : 0;
}

static struct take_options options_of(struct download *download, unsigned number)
{
    return (struct take_options){
        .digest = &download->flight->digest,
        .number = number,
        .is_private = take_number_is_private(number),
        .expected = download->is_size_hint ? UINT64_MAX : download->size,
        .handler = &download_take,
        .arg = download,
    };
}

/* With a full disk: bytes of memory for this spool, 0 when the disk has room. ERR_NO_SPACE. */
static int reserve_memory(struct download *download, uint64_t *out_memory, struct error *err)
{
    const struct fetcher *fetcher = fetcher_of(download);
    uint64_t size = download->size == UINT64_MAX ? 0 : download->size;
    uint64_t available, total;

    *out_memory = 0;
    if (store_space(fetcher->options.store, &available, &total, err) != 0)
        return -(int)err->kind;
    if (available >= RESERVE_BYTES && available - RESERVE_BYTES >= size)
        return 0;
    spool_index_shrink(fetcher->spools, size + RESERVE_BYTES - available);
    uint64_t limit = fetcher->config->storage.memory_limit;
    uint64_t used = fetcher->memory_used < limit ? fetcher->memory_used : limit;
    if (download->size == UINT64_MAX || size >= limit - used) {
        return error_set(err, ERR_NO_SPACE,
                         "the disk is full, and so is the memory for blobs that pass through");
    }
    *out_memory = size + 1;
    return 0;
}

static int open_take(struct download *download, bool is_private, struct error *err)
{
    struct flight *flight = download->flight;
    uint64_t memory = 0;
    int rc = reserve_memory(download, &memory, err);

    if (rc != 0)
        return rc;
    /* A name in use belongs to another flight, or to a file that the keeper is about to place. */
    for (unsigned tries = 0; tries < NAMES_TRIED; tries++) {
        unsigned number = take_number(download->attempt++, mark_of(flight->owner), is_private);
        struct take_options options = options_of(download, number);

        options.memory = memory;
        rc = take_create(flight->fetcher, &options, &download->take, err);
        if (rc != -(int)ERR_CONFLICT)
            break;
    }
    if (rc == 0 && flight->base)
        rc = take_compare(download->take, flight->base, flight->base_until, err);
    return rc;
}

/* The next byte that comes will be the first of the blob. */
static void start_over(struct download *download)
{
    if (!download->take)
        return;
    download->is_mixed = false;
    if (!flight_is_read(download->flight) && !download->is_size_hint)
        download->size = UINT64_MAX;
    flight_start_over(download->flight, &download->take);
}

/* ---- where to begin ---- */

/* Take over the spool of an earlier attempt. ERR_NOT_FOUND: there is none that may be used. */
static int adopt_take(struct download *download, struct error *err)
{
    struct flight *flight = download->flight;
    struct spool_index *spools = flight->fetcher->spools;
    unsigned number = 0;

    if (!spool_index_find(spools, &flight->digest, &number))
        return error_set(err, ERR_NOT_FOUND, "no spool");
    if (take_number_is_private(number)) {
        struct upstream *upstream =
            LIST_ITEM(flight->sources.next, const struct source, link)->upstream;

        if (take_number_mark(number) != mark_of(upstream))
            return error_set(err, ERR_NOT_FOUND, "a spool of another upstream");
        flight_make_private(flight, upstream);
    }
    spool_index_take(spools, &flight->digest);
    struct take_options options = options_of(download, number);
    download->attempt = take_number_attempt(number) + 1;
    return take_adopt(flight->fetcher, &options, &download->take, err);
}

void download_begin(struct download *download)
{
    struct error err;

    CHECK(download->state == DOWNLOAD_IDLE);
    if (!download->take && adopt_take(download, &err) == 0)
        download_set_state(download, DOWNLOAD_HASHING);
    else
        ask_source(download);
}

void download_resume(struct download *download)
{
    download->source = NULL;
    ask_source(download);
}

static void on_digest_right(struct download *download)
{
    /* The flight's state first, so that a drain is held without a gap. */
    flight_store(download->flight);
    download_set_state(download, DOWNLOAD_WHOLE);
    if (!download->take->is_memory)
        take_sync(download->take);
}

static void on_take_adopted(bool is_right, void *arg)
{
    struct download *download = arg;
    struct flight *flight = download->flight;
    const struct take *take = download->take;

    if (download->state != DOWNLOAD_HASHING) {
        flight_reap(flight);
        return;
    }
    if (is_right) {
        download->size = take->bytes;
        download_set_state(download, DOWNLOAD_VERIFYING);
        on_digest_right(download);
        return;
    }
    if (download->size != UINT64_MAX && take->bytes >= download->size) {
        download->size = UINT64_MAX; /* only a manifest said so */
        download->is_size_hint = false;
    }
    flight_log(flight, LOG_INFO, "continuing a leftover spool");
    ask_source(download);
    if (download->take && !flight_needs_proof(flight))
        flight_admit_all(flight);
}

/* ---- the pace ---- */

static void start_pace(struct download *download, uint64_t ms)
{
    download->pace.is_slow = false;
    download->pace.bytes = download->take ? download->take->queued : 0;
    timer_start(download->pace.timer, ms);
}

/* No bytes come from it any more. */
static void drop_exchange(struct download *download)
{
    exchange_cancel(&download->exchange);
    download->is_held = false;
    if (download->take)
        take_rest(download->take);
}

void download_try_faster_source(struct download *download)
{
    if (!download->exchange || !download->pace.is_slow ||
        !source_has_other(download->flight, download->source, false))
        return;
    flight_log(download->flight, LOG_WARN, "the upstream is slow: asking another");
    drop_exchange(download);
    source_set_slow(download->source);
    ask_source(download);
}

/* Has less than fetch.rate_min come, although we took what came? */
static bool is_under_rate(struct download *download, uint64_t bytes)
{
    const struct config *config = fetcher_of(download)->config;
    struct pace_window *window = &download->pace.window;

    if (download->state != DOWNLOAD_STREAMING || download->is_held) {
        pace_begin(window, bytes);
        return false;
    }
    return pace_is_under(window, bytes, config->fetch.rate_min, config->fetch.stall_timeout);
}

void download_on_pace(void *arg)
{
    struct download *download = arg;
    uint64_t bytes = download->take ? download->take->queued : 0;

    if (!download->exchange)
        return;
    /* Followers of a blob of unknown size get nothing before its end. */
    if (is_under_rate(download, bytes)) {
        struct exchange_end end = {0};

        error_set(&end.err, ERR_TIMEOUT, "the upstream is slower than fetch.rate_min");
        drop_exchange(download);
        on_download_failure(download, &end);
        return;
    }
    bool is_slow = download->state == DOWNLOAD_REQUESTING || download->size == UINT64_MAX ||
                   (!download->is_held && bytes - download->pace.bytes < PROGRESS_BYTES);
    start_pace(download, BODY_MS);
    download->pace.is_slow = is_slow;
    download_try_faster_source(download);
}

/* ---- asking ---- */

static void on_all_bytes(struct download *download)
{
    download->size = download->take->queued;
    download->is_size_hint = false;
    download_set_state(download, DOWNLOAD_VERIFYING);
    take_finish(download->take);
}

static void set_source(struct download *download, struct source *source)
{
    download->source = source;
    download->mismatches = 0;
    download->is_mixed = download->take && download->take->queued > 0;
    download->url = 0;
    retry_init(&download->retry, fetcher_of(download)->config->fetch.retries,
               source->upstream->url_count);
}

static void ask_source(struct download *download)
{
    char path[512];
    struct source *next = source_next(download->flight, download->source);

    CHECK(!download->exchange);
    if (!next) {
        struct error err;

        error_set(&err, ERR_UPSTREAM, "no upstream is left to ask");
        flight_fail(download->flight, &err, 0);
        return;
    }
    if (next != download->source)
        set_source(download, next);
    download->requested_at = download->take ? download->take->queued : 0;
    download->refusal.err.kind = ERR_NONE;
    download_set_state(download, DOWNLOAD_REQUESTING);
    if (download->size != UINT64_MAX && !download->is_size_hint && download->requested_at > 0 &&
        download->requested_at == download->size) {
        on_all_bytes(download);
        return;
    }
    upstream_print_blob_path(slice_of(next->repository), &download->flight->digest, path,
                             sizeof(path));
    struct exchange_request request = {
        .upstream = next->upstream,
        .first_url = download->url,
        .method = TRANSFER_GET,
        .repository = slice_of(next->repository),
        .path = path,
        .range_start = download->requested_at,
        .is_blob = true,
        .kind = EXCHANGE_DOWNLOAD,
    };
    download->exchange = exchange_start(&request, &download_exchange, download);
    start_pace(download, HEAD_MS);
    if (exchange_is_queued(download->exchange))
        flight_make_room(download->flight, next->upstream);
}

void download_on_timer(void *arg)
{
    struct download *download = arg;

    if (download->state == DOWNLOAD_WAITING)
        ask_source(download);
}

/* ---- the head ---- */

static bool refuse_answer(struct download *download, bool is_final, enum error_kind kind,
                          const char *text)
{
    error_set(&download->refusal.err, kind, "%s", text);
    download->refusal.is_final = is_final;
    return false;
}

/* Does the 206 bring exactly what follows our bytes, up to the end of the blob? */
static bool is_right_range(const struct download *download, struct slice headers,
                           uint64_t *out_total)
{
    struct slice value;
    struct byte_range range;
    struct error err;

    return transfer_header(headers, "Content-Range", &value) &&
           content_range_parse(value, &range, out_total, &err) == 0 &&
           range.first == download->requested_at && *out_total != UINT64_MAX &&
           range.last + 1 == *out_total;
}

/* The length of the whole blob according to this head; UINT64_MAX: it does not say. False: the head
 * is refused. */
static bool read_total(struct download *download, const struct exchange_answer *answer,
                       uint64_t *out_total)
{
    *out_total = answer->content_length;
    if (answer->status == 200) {
        if (download->requested_at > 0) {
            flight_log(download->flight, LOG_INFO, "the upstream starts from the beginning");
            start_over(download);
            download->requested_at = 0;
        }
        if (download->take && answer->with_credentials && !download->take->is_private)
            start_over(download); /* it is empty, but others may read it */
        return true;
    }
    if (download->requested_at > 0 && is_right_range(download, answer->headers, out_total) &&
        (download->take->is_private || !answer->with_credentials))
        return true;
    start_over(download);
    return refuse_answer(download, false, ERR_UPSTREAM,
                         "the upstream's range is not the one asked for");
}

/*
 * The digest proves a blob; its size is only somebody's word. A size that came from a manifest or
 * from a wrong take gives way to this head at once. A size that an earlier head said gives way when
 * no follower was told of it, or when a second head disagrees with it in the same way.
 */
static bool accept_total(struct download *download, uint64_t total)
{
    if (total == UINT64_MAX)
        return true;
    if (download->size == UINT64_MAX || download->size == total) {
        download->size = total;
        download->is_size_hint = false;
        return true;
    }
    if (flight_is_read(download->flight) && !download->is_size_hint &&
        download->other_size != total) {
        download->other_size = total;
        return refuse_answer(download, false, ERR_UPSTREAM, "the upstream's blob has another size");
    }
    flight_log(download->flight, LOG_WARN, "the upstream says another size than was known before");
    bool is_contradicted = !download->is_size_hint; /* one of the two upstreams is wrong */
    download->size = total;
    download->is_size_hint = false;
    flight_resized(download->flight, is_contradicted);
    return true;
}

static bool on_download_head(const struct exchange_answer *answer, void *arg)
{
    struct download *download = arg;
    struct flight *flight = download->flight;
    uint64_t total = UINT64_MAX;

    if (answer->with_credentials)
        flight_make_private(flight, download->source->upstream);
    if (!read_total(download, answer, &total))
        return false;
    if (!accept_total(download, total))
        return false;
    if (total != UINT64_MAX && total > flight->fetcher->config->storage.blob_max)
        return refuse_answer(download, true, ERR_TOO_LARGE, "the blob is over storage.blob_max");
    if (!download->take) {
        struct error err;

        if (open_take(download, answer->with_credentials, &err) != 0)
            return refuse_answer(download, true, err.kind, err.text);
    } else if (download->requested_at > 0) {
        metrics_add(METRIC_flights_resumed, 1);
        flight_log(flight, LOG_INFO, "resumed");
    }
    /* All sources are of this upstream, and the head is its word that it has the blob. */
    if (flight_needs_proof(flight))
        source_set_proven(download->source);
    download_set_state(download, DOWNLOAD_STREAMING);
    start_pace(download, BODY_MS);
    pace_begin(&download->pace.window, download->pace.bytes);
    flight_admit_all(flight);
    return true;
}

/* ---- the body ---- */

static enum transfer_want on_download_data(struct slice bytes, void *arg)
{
    struct download *download = arg;
    struct take *take = download->take;
    uint64_t limit = download->size;

    if (download->is_size_hint && take->queued + bytes.length > limit) {
        flight_log(download->flight, LOG_WARN, "the blob is longer than its manifest says");
        download->size = UINT64_MAX;
        download->is_size_hint = false;
        flight_resized(download->flight, false);
        limit = UINT64_MAX;
    }
    if (limit == UINT64_MAX)
        limit = fetcher_of(download)->config->storage.blob_max;
    if (take->queued + bytes.length > limit) {
        refuse_answer(download, false, ERR_UPSTREAM,
                      "the upstream sends more than the size of the blob");
        return TRANSFER_ABORT;
    }
    switch (take_write(take, bytes)) {
    case TAKE_WRITTEN:
        break;
    case TAKE_BUSY:
    case TAKE_NO_MEMORY:
        download->is_held = true;
        return TRANSFER_PAUSE;
    case TAKE_FULL:
        refuse_answer(download, true, ERR_NO_SPACE,
                      "the disk is full, and the blob is larger than the memory kept for it");
        return TRANSFER_ABORT;
    }
    if (take->queued - download->requested_at >= PROGRESS_BYTES)
        retry_progress(&download->retry);
    return TRANSFER_CONTINUE;
}

/* Other flights fill the disk too. False: it is full, and the flight has failed. */
static bool has_space(struct download *download)
{
    struct take *take = download->take;
    struct error err;
    uint64_t available = 0;
    uint64_t total = 0;

    if (take->is_memory || take->bytes - take->space_seen_at < RESERVE_BYTES)
        return true;
    take->space_seen_at = take->bytes;
    if (store_space(fetcher_of(download)->options.store, &available, &total, &err) != 0 ||
        available >= RESERVE_BYTES)
        return true;
    error_set(&err, ERR_NO_SPACE, "the disk became full during the download");
    flight_fail(download->flight, &err, 0);
    return false;
}

static void resume_exchange(void *arg)
{
    struct download *download = arg;

    if (!download->is_held || !download->exchange)
        return;
    download->is_held = false;
    exchange_resume(download->exchange);
}

static void on_take_written(void *arg)
{
    struct download *download = arg;
    struct flight *flight = download->flight;

    if (download->state == DOWNLOAD_IDLE) {
        flight_reap(flight);
        return;
    }
    if (!download->take || download->take->bytes == 0 || !has_space(download))
        return;
    resume_exchange(download);
    if (flight->base && !flight->is_strict && take_is_compared(download->take))
        flight_hand_over(flight);
    flight_grew(flight);
    flight_check_abandoned(flight);
}

/* ---- the end of an exchange ---- */

/* All tries of the source have failed: the next source is asked, or the flight fails. */
static void exhaust_source(struct download *download, const struct error *err, uint64_t retry_after)
{
    if (download->source)
        download->source->is_exhausted = true;
    download->source = NULL;
    if (source_next(download->flight, NULL))
        ask_source(download);
    else
        flight_fail(download->flight, err, retry_after);
}

static void on_download_failure(struct download *download, const struct exchange_end *end)
{
    uint64_t delay_ms = 0;

    if (end->err.kind == ERR_CONFLICT) /* 416: our bytes are not the beginning of the blob */
        start_over(download);
    if (end->is_final && download->source) {
        source_remove(download->source, &end->err);
        exhaust_source(download, &end->err, end->retry_after);
        return;
    }
    if (end->err.kind == ERR_BUSY || !download->source ||
        !retry_next(&download->retry, &download->url, &delay_ms)) {
        exhaust_source(download, &end->err, end->retry_after);
        return;
    }
    flight_log(download->flight, LOG_WARN, end->err.text);
    download_set_state(download, DOWNLOAD_WAITING);
    timer_start(download->timer, delay_ms);
}

static void on_download_done(const struct exchange_end *end, void *arg)
{
    struct download *download = arg;
    struct exchange_end outcome = *end;

    download->exchange = NULL;
    drop_exchange(download);
    if (download->refusal.err.kind != ERR_NONE) {
        outcome = (struct exchange_end){.err = download->refusal.err};
        download->refusal.err.kind = ERR_NONE;
        if (download->refusal.is_final) {
            flight_fail(download->flight, &outcome.err, 0);
            return;
        }
    } else if (end->err.kind == ERR_NONE) {
        if (download->size == UINT64_MAX || download->is_size_hint ||
            download->take->queued == download->size) {
            on_all_bytes(download);
            return;
        }
        error_set(&outcome.err, ERR_UPSTREAM, "the upstream's blob is shorter than it says");
    }
    on_download_failure(download, &outcome);
}

static const struct exchange_handler download_exchange = {
    .on_head = on_download_head,
    .on_data = on_download_data,
    .on_done = on_download_done,
};

/* ---- the digest ---- */

static void on_digest_wrong(struct download *download)
{
    struct flight *flight = download->flight;
    struct error err;
    bool is_mixed = download->is_mixed || !download->source;

    metrics_add(METRIC_digest_mismatches, 1);
    flight_log(flight, LOG_WARN, "the bytes are not what the digest says");
    flight_set_strict(flight);
    start_over(download);
    download->is_size_hint = download->size != UINT64_MAX;
    if (is_mixed) { /* it is unknown whose bytes are wrong: once more, all from one source */
        ask_source(download);
        return;
    }
    /* The only upstream gets a second try. */
    size_t tries = download->source->upstream->url_count;
    if (tries < 2 && !source_has_other(flight, download->source, true))
        tries = 2;
    if (++download->mismatches < tries) {
        download->url++;
        ask_source(download);
        return;
    }
    error_set(&err, ERR_DIGEST_MISMATCH, "the upstream's bytes are not what the digest says");
    source_set_exhausted(download->source);
    exhaust_source(download, &err, 0);
}

static void on_take_hashed(bool is_right, void *arg)
{
    struct download *download = arg;

    if (download->state != DOWNLOAD_VERIFYING)
        flight_reap(download->flight);
    else if (is_right)
        on_digest_right(download);
    else
        on_digest_wrong(download);
}

static void on_take_synced(const struct error *err, void *arg)
{
    struct download *download = arg;

    flight_on_synced(download->flight, err);
}

static void on_take_failed(const struct error *err, void *arg)
{
    struct download *download = arg;
    struct error copy = *err;

    if (download->flight->state == FLIGHT_FAILED) {
        flight_reap(download->flight);
        return;
    }
    take_drop(&download->take, false);
    flight_fail(download->flight, &copy, 0);
}

static const struct take_handler download_take = {
    .on_written = on_take_written,
    .on_room = resume_exchange,
    .on_hashed = on_take_hashed,
    .on_adopted = on_take_adopted,
    .on_synced = on_take_synced,
    .on_failed = on_take_failed,
};

/* ---- what the flight asks and orders ---- */

bool download_has_spool(const struct download *download)
{
    bool has_head = download->state == DOWNLOAD_STREAMING ||
                    download->state == DOWNLOAD_VERIFYING || download->state == DOWNLOAD_WHOLE;

    if (download->size == UINT64_MAX && !has_head)
        return false;
    return download->take && download->state != DOWNLOAD_HASHING;
}

bool download_is_asking(const struct download *download)
{
    return download->state == DOWNLOAD_REQUESTING || download->state == DOWNLOAD_STREAMING ||
           download->state == DOWNLOAD_WAITING;
}

bool download_occupies(const struct download *download, const struct upstream *upstream)
{
    return download->exchange && !exchange_is_queued(download->exchange) && download->source &&
           download->source->upstream == upstream;
}

bool download_is_crowded(const struct download *download)
{
    return download->exchange && exchange_others_wait(download->exchange);
}

bool download_is_idle(const struct download *download)
{
    return !download->take || take_is_idle(download->take);
}

void download_hint_size(struct download *download, uint64_t size)
{
    if (size == UINT64_MAX)
        return;
    if (download->size == UINT64_MAX && !download->take) {
        download->size = size;
        download->is_size_hint = true;
    }
    if (download->size != size)
        flight_log(download->flight, LOG_INFO, "a manifest says another size");
}

void download_forget_source(struct download *download, const struct source *source)
{
    if (download->source == source)
        download->source = NULL;
}

void download_stop(struct download *download)
{
    drop_exchange(download);
    timer_stop(download->timer);
    timer_stop(download->pace.timer);
    if (download->state != DOWNLOAD_IDLE)
        download_set_state(download, DOWNLOAD_IDLE);
}

void download_reset(struct download *download, bool keep_take)
{
    download_stop(download);
    download->mismatches = 0;
    if (!keep_take)
        take_drop(&download->take, false);
}

void download_discard(struct download *download)
{
    download_stop(download);
    download->mismatches = 0;
    download->source = NULL;
    take_drop(&download->take, true); /* its file has become the keeper's */
}

void download_end(struct download *download, bool keep_spool, bool is_stored)
{
    const struct flight *flight = download->flight;
    const struct take *take = download->take;
    bool is_kept = keep_spool && take && !take->is_memory && take->bytes > 0;
    unsigned number = take ? take->number : 0;
    uint64_t bytes = take ? take->bytes : 0;

    download_stop(download);
    take_drop(&download->take, is_kept || is_stored);
    if (is_kept && !flight->fetcher->is_closing)
        spool_index_add(flight->fetcher->spools, &flight->digest, number, bytes);
}

void download_init(struct download *download, struct flight *flight)
{
    struct loop *loop = flight->fetcher->options.loop;

    download->flight = flight;
    download->size = UINT64_MAX;
    download->other_size = UINT64_MAX;
    download->timer = timer_new(loop, download_on_timer, download);
    download->pace.timer = timer_new(loop, download_on_pace, download);
}

void download_cleanup(struct download *download)
{
    timer_free(&download->timer);
    timer_free(&download->pace.timer);
}
