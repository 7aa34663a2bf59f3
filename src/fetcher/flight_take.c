/* SPDX-License-Identifier: Apache-2.0 */
/* The spools of a flight: opened, resumed, started over, verified, and handed to the keeper. */
#include "base/check.h"
#include "config/config.h"
#include "exchange.h"
#include "flight.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "role.h"
#include "spool_index.h"
#include "store/store.h"
#include "take.h"
#include "upstream.h"

#define RESERVE_BYTES  (64ul * 1024 * 1024)
#define STORED_KEPT_MS 10000
#define NAMES_TRIED    8

static const struct take_handler flight_take_handler;

static unsigned mark_of(const struct upstream *upstream)
{
    return upstream ? take_mark(upstream->config->name) : 0;
}

static struct take_options options_of(struct flight *flight, unsigned number)
{
    return (struct take_options){
        .digest = &flight->digest,
        .number = number,
        .is_private = take_number_is_private(number),
        .handler = &flight_take_handler,
        .arg = flight,
    };
}

int flight_adopt_take(struct flight *flight, struct error *err)
{
    unsigned number = 0;

    if (!spool_index_take(flight->fetcher->spools, &flight->digest, &number))
        return error_set(err, ERR_NOT_FOUND, "no spool");
    if (take_number_is_private(number)) {
        struct upstream *upstream =
            LIST_ITEM(flight->sources.next, const struct source, link)->upstream;
        if (take_number_mark(number) != mark_of(upstream)) {
            spool_index_add(flight->fetcher->spools, &flight->digest, number);
            return error_set(err, ERR_NOT_FOUND, "a spool of another upstream");
        }
        flight_seclude(flight, upstream);
    }
    struct take_options options = options_of(flight, number);
    flight->attempt = take_number_attempt(number) + 1;
    return take_adopt(flight->fetcher, &options, &flight->take, err);
}

/* With a full disk: bytes of memory for this spool, 0 when the disk has room. ERR_NO_SPACE. */
static int reserve_memory(struct flight *flight, uint64_t *out_memory, struct error *err)
{
    const struct fetcher *fetcher = flight->fetcher;
    uint64_t size = flight->size == UINT64_MAX ? 0 : flight->size;
    uint64_t available = 0;
    uint64_t total = 0;

    *out_memory = 0;
    if (store_space(fetcher->options.store, &available, &total, err) != 0)
        return -(int)err->kind;
    if (available >= RESERVE_BYTES && available - RESERVE_BYTES >= size)
        return 0;
    uint64_t limit = fetcher->config->storage.memory_limit;
    if (flight->size == UINT64_MAX || size + 1 > limit - fetcher->memory_used)
        return error_set(err, ERR_NO_SPACE, "the disk is full, and memory for pass-through too");
    *out_memory = size + 1;
    return 0;
}

int flight_open_take(struct flight *flight, bool is_private, struct error *err)
{
    uint64_t memory = 0;
    int rc = reserve_memory(flight, &memory, err);

    if (rc != 0)
        return rc;
    /* A name in use is another flight's, or one the keeper is about to place. */
    for (unsigned tries = 0; tries < NAMES_TRIED; tries++) {
        unsigned number = take_number(flight->attempt++, mark_of(flight->owner), is_private);
        struct take_options options = options_of(flight, number);
        options.memory = memory;
        rc = take_create(flight->fetcher, &options, &flight->take, err);
        if (rc != -(int)ERR_CONFLICT)
            break;
    }
    if (rc == 0 && flight->base)
        rc = take_compare(flight->take, flight->base, flight->base_until, err);
    return rc;
}

void flight_start_over(struct flight *flight)
{
    if (!flight->take)
        return;
    bool is_read = flight_is_read(flight);
    flight->is_mixed = false;
    if (!is_read && !flight->is_size_hint)
        flight->size = UINT64_MAX;
    if (flight->base || !is_read) {
        take_drop(&flight->take, false); /* nobody was told of it */
        return;
    }
    flight->base = flight->take;
    flight->base_until = flight->told.bytes;
    flight->take = NULL;
    timer_stop(flight->told.timer);
}

/* Other flights fill the disk too. False: the flight is over. */
static bool look_for_space(struct flight *flight)
{
    struct take *take = flight->take;
    struct error err;
    uint64_t available = 0;
    uint64_t total = 0;

    if (take->is_memory || take->bytes - take->space_seen_at < RESERVE_BYTES)
        return true;
    take->space_seen_at = take->bytes;
    if (store_space(flight->fetcher->options.store, &available, &total, &err) != 0 ||
        available >= RESERVE_BYTES)
        return true;
    error_set(&err, ERR_NO_SPACE, "the disk became full during the download");
    flight_fail(flight, &err, 0);
    return false;
}

/* ---- what takes tell ---- */

static void on_written(void *arg)
{
    struct flight *flight = arg;

    if (flight->state == FLIGHT_FAILED || flight->state == FLIGHT_PAUSED) {
        flight_bury(flight);
        return;
    }
    if (!flight->take || flight->take->bytes == 0 || !look_for_space(flight))
        return;
    if (flight->is_held && flight->exchange) {
        flight->is_held = false;
        exchange_resume(flight->exchange);
    }
    if (flight->base && !flight->is_strict && take_is_compared(flight->take))
        flight_hand_over(flight);
    flight_grew(flight);
    flight_look_alone(flight);
}

static void on_wrong(struct flight *flight)
{
    struct error err;
    bool is_mixed = flight->is_mixed || !flight->source;

    metrics_add(METRIC_digest_mismatches, 1);
    flight_log(flight, LOG_WARN, "the bytes are not what the digest says");
    flight_set_strict(flight);
    flight_start_over(flight);
    flight->is_size_hint = flight->size != UINT64_MAX;
    if (is_mixed) { /* nobody knows whose are wrong: once more, all from one source */
        flight_request(flight);
        return;
    }
    /* An upstream alone gets a second try. */
    size_t tries = flight->source->upstream->url_count;
    if (tries < 2 && !source_has_other(flight, true))
        tries = 2;
    if (++flight->mismatches < tries) {
        flight->url++;
        flight_request(flight);
        return;
    }
    error_set(&err, ERR_DIGEST_MISMATCH, "the upstream's bytes are not what the digest says");
    source_set_spent(flight->source);
    flight_spend_source(flight, &err, 0);
}

static void on_hashed(bool is_right, void *arg)
{
    struct flight *flight = arg;

    if (flight->state == FLIGHT_FAILED) {
        flight_bury(flight);
    } else if (is_right) {
        flight_verified(flight);
    } else {
        on_wrong(flight);
    }
}

static void on_adopted(bool is_right, void *arg)
{
    struct flight *flight = arg;
    struct take *take = flight->take;

    if (flight->state != FLIGHT_HASHING) {
        flight_bury(flight);
        return;
    }
    if (is_right) {
        flight->size = take->bytes;
        flight_set_state(flight, FLIGHT_VERIFYING);
        flight_verified(flight);
        return;
    }
    if (flight->size != UINT64_MAX && take->bytes >= flight->size) {
        flight->size = UINT64_MAX; /* it is only a manifest's word */
        flight->is_size_hint = false;
    }
    flight_log(flight, LOG_INFO, "carrying on a spool of before");
    flight_request(flight);
    if (flight->take && !flight_needs_proof(flight))
        flight_admit_all(flight);
}

/* ---- storing ---- */

static void on_stored(const struct error *err, void *arg)
{
    struct flight *flight = arg;

    flight->is_stored = err == NULL;
    flight_set_state(flight, FLIGHT_STORED);
    flight_log(flight, LOG_INFO, err ? "verified, but not stored" : "stored");
    timer_start(flight->timer, STORED_KEPT_MS);
}

static struct source *first_proven(struct flight *flight)
{
    LIST_EACH (link, &flight->sources) {
        struct source *source = LIST_ITEM(link, struct source, link);
        if (source->state == SOURCE_PROVEN && !source->is_linked)
            return source;
    }
    return NULL;
}

static void on_synced(const struct error *err, void *arg)
{
    struct flight *flight = arg;
    const struct take *take = flight->take;

    if (err) {
        flight_log(flight, LOG_ERROR, err->text);
        on_stored(err, flight);
        return;
    }
    struct message_blob_stored message = {
        .place = PLACE_SPOOL,
        .file = slice_of(take->name),
        .inode = take->inode,
        .digest = flight->digest,
        .size = flight->size,
        .is_public = !take->is_private,
    };
    struct source *source = first_proven(flight);
    if (source) {
        source->is_linked = true;
        message.origin = slice_of(source->upstream->config->name);
        message.repository = slice_of(source->repository);
    }
    keeper_client_tell(flight->fetcher->keeper, MESSAGE_BLOB_STORED, &message, true, on_stored,
                       flight);
    while (flight_needs_proof(flight) && (source = first_proven(flight)))
        source_link(source);
}

void flight_verified(struct flight *flight)
{
    if (flight->base)
        flight_hand_over(flight);
    if (flight->source)
        source_set_state(flight->source, SOURCE_PROVEN);
    flight_set_state(flight, FLIGHT_STORING);
    flight_log(flight, LOG_INFO, "verified");
    timer_stop(flight->told.timer);
    flight_tell_verified(flight);
    if (flight->take->is_memory) {
        flight_set_state(flight, FLIGHT_STORED);
        timer_start(flight->timer, STORED_KEPT_MS);
        return;
    }
    take_sync(flight->take);
}

static void on_take_failed(const struct error *err, void *arg)
{
    struct flight *flight = arg;
    struct error copy = *err;

    if (flight->state == FLIGHT_FAILED) {
        flight_bury(flight);
        return;
    }
    take_drop(&flight->take, false);
    flight_fail(flight, &copy, 0);
}

static const struct take_handler flight_take_handler = {
    .on_written = on_written,
    .on_hashed = on_hashed,
    .on_adopted = on_adopted,
    .on_synced = on_synced,
    .on_failed = on_take_failed,
};
