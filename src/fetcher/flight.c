/* SPDX-License-Identifier: Apache-2.0 */
/* The life of flights: states, who joins and leaves, the end. The picture is in flight.h. */
#include "flight.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "config/config.h"
#include "exchange.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "role.h"
#include "spool_index.h"
#include "take.h"
#include "upstream.h"

#define KEY_MAX          1024
#define PAUSED_KEPT_MS   30000
#define STORED_KEPT_MS   10000
#define GO_ON_LEFT_BYTES (64ul * 1024 * 1024)
#define UNKNOWN_SIZE_MAX (16ul * 1024 * 1024) /* workers hold no more of such a blob */

static const char *const state_names[FLIGHT_STATES] = {
    [FLIGHT_STARTING] = "starting",     [FLIGHT_HASHING] = "hashing",
    [FLIGHT_REQUESTING] = "requesting", [FLIGHT_STREAMING] = "streaming",
    [FLIGHT_WAITING] = "waiting",       [FLIGHT_PAUSED] = "paused",
    [FLIGHT_VERIFYING] = "verifying",   [FLIGHT_STORING] = "storing",
    [FLIGHT_STORED] = "stored",         [FLIGHT_FAILED] = "failed",
};

#define TO(state) (1u << FLIGHT_##state)
static const unsigned moves[FLIGHT_STATES] = {
    [FLIGHT_STARTING] = TO(HASHING) | TO(REQUESTING) | TO(FAILED),
    [FLIGHT_HASHING] = TO(REQUESTING) | TO(VERIFYING) | TO(FAILED),
    [FLIGHT_REQUESTING] =
        TO(STREAMING) | TO(WAITING) | TO(VERIFYING) | TO(REQUESTING) | TO(PAUSED) | TO(FAILED),
    [FLIGHT_STREAMING] = TO(VERIFYING) | TO(WAITING) | TO(REQUESTING) | TO(PAUSED) | TO(FAILED),
    [FLIGHT_WAITING] = TO(REQUESTING) | TO(PAUSED) | TO(FAILED),
    [FLIGHT_PAUSED] = TO(REQUESTING) | TO(FAILED),
    [FLIGHT_VERIFYING] = TO(STORING) | TO(REQUESTING) | TO(FAILED),
    [FLIGHT_STORING] = TO(STORED),
    [FLIGHT_STORED] = TO(STARTING),
    [FLIGHT_FAILED] = TO(STARTING),
};
#undef TO

/* Between its last byte and the keeper's answer: a drain waits for it. */
static bool is_storing(const struct flight *flight)
{
    return flight->state == FLIGHT_VERIFYING || flight->state == FLIGHT_STORING;
}

void flight_set_state(struct flight *flight, enum flight_state next)
{
    CHECK((moves[flight->state] & (1u << next)) != 0);
    if (log_is_on(LOG_DEBUG)) {
        struct log_line line;
        log_begin(&line, LOG_DEBUG);
        log_u64(&line, "flight", flight->id);
        log_end(&line, "%s -> %s", state_names[flight->state], state_names[next]);
    }
    bool was_storing = is_storing(flight);
    flight->state = next;
    if (!was_storing && is_storing(flight))
        drain_hold(flight->fetcher);
    else if (was_storing && !is_storing(flight))
        drain_release(flight->fetcher);
}

void flight_log(const struct flight *flight, enum log_level level, const char *text)
{
    struct log_line line;
    char digest[DIGEST_TEXT_SIZE];
    const struct source *source = flight->source;

    if (!log_is_on(level))
        return;
    log_begin(&line, level);
    log_u64(&line, "flight", flight->id);
    log_text(&line, "digest", digest_print(&flight->digest, digest));
    if (source) {
        log_text(&line, "origin", source->upstream->config->name);
        log_text(&line, "repo", source->repository);
    }
    if (flight->take)
        log_u64(&line, "bytes", flight->take->bytes);
    log_end(&line, "%s", text);
}

/* `owner`: of a flight apart, or NULL. */
static void build_key(struct buf *key, const struct digest *digest, const struct upstream *owner)
{
    uint8_t binary[DIGEST_BINARY_MAX];

    buf_init(key, KEY_MAX);
    buf_append(key, binary, digest_encode(digest, binary));
    if (owner)
        buf_append_text(key, owner->config->name);
}

static struct flight *find_flight(struct fetcher *fetcher, const struct digest *digest,
                                  const struct upstream *owner)
{
    AUTO_BUF struct buf key;

    build_key(&key, digest, owner);
    return map_find(fetcher->flights, buf_bytes(&key));
}

/* ---- the end ---- */

static void free_dead(void *arg)
{
    struct fetcher *fetcher = arg;
    while (!list_is_empty(&fetcher->dead_flights)) {
        struct flight *flight = LIST_ITEM(fetcher->dead_flights.next, struct flight, link);
        list_remove(&flight->link);
        timer_free(&flight->timer);
        timer_free(&flight->told.timer);
        timer_free(&flight->pace.timer);
        upstream_unref(&flight->owner);
        mem_free(flight);
    }
}

void flight_end(struct flight *flight, bool keep_spool)
{
    struct fetcher *fetcher = flight->fetcher;
    AUTO_BUF struct buf key;

    build_key(&key, &flight->digest, flight->is_apart ? flight->owner : NULL);
    if (map_find(fetcher->flights, buf_bytes(&key)) == flight)
        map_remove(fetcher->flights, buf_bytes(&key));
    keeper_client_forget(fetcher->keeper, flight);
    exchange_cancel(&flight->exchange);
    while (!list_is_empty(&flight->followers)) {
        struct follower *follower = LIST_ITEM(flight->followers.next, struct follower, link);
        follower_free(&follower);
    }
    while (!list_is_empty(&flight->sources))
        source_free(LIST_ITEM(flight->sources.next, struct source, link));
    bool is_kept =
        keep_spool && flight->take && !flight->take->is_memory && flight->take->bytes > 0;
    unsigned number = flight->take ? flight->take->number : 0;
    take_drop(&flight->base, false);
    take_drop(&flight->take, is_kept || flight->is_stored);
    if (is_kept && !fetcher->is_closing)
        spool_index_add(fetcher->spools, &flight->digest, number);
    timer_stop(flight->timer);
    timer_stop(flight->told.timer);
    timer_stop(flight->pace.timer);
    fetcher_count_flights(fetcher);
    if (is_storing(flight))
        drain_release(fetcher);
    list_append(&fetcher->dead_flights, &flight->link);
    loop_defer(fetcher->options.loop, free_dead, fetcher);
}

void flight_bury(struct flight *flight)
{
    if (flight->take && !take_is_idle(flight->take))
        return;
    if (flight->state == FLIGHT_PAUSED)
        return;
    if (list_is_empty(&flight->followers)) {
        flight_end(flight, true);
        return;
    }
    flight_set_state(flight, FLIGHT_STARTING);
    flight_begin(flight);
}

/* Kept for who comes next, unless nobody would give the rest of it. */
static bool is_spool_useless(enum error_kind kind)
{
    return kind == ERR_DIGEST_MISMATCH || kind == ERR_NOT_FOUND || kind == ERR_DENIED ||
           kind == ERR_UNAUTHORIZED || kind == ERR_TOO_LARGE || kind == ERR_NO_SPACE;
}

void flight_fail(struct flight *flight, const struct error *err, uint64_t retry_after)
{
    struct error copy = *err; /* it may be ours */

    flight_set_state(flight, FLIGHT_FAILED);
    flight_log(flight, LOG_WARN, copy.text);
    timer_stop(flight->timer);
    timer_stop(flight->told.timer);
    exchange_cancel(&flight->exchange);
    take_drop(&flight->base, false);
    if (is_spool_useless(copy.kind))
        take_drop(&flight->take, false);
    while (!list_is_empty(&flight->followers)) {
        struct follower *follower = LIST_ITEM(flight->followers.next, struct follower, link);
        follower_fail(&follower, &copy, retry_after);
    }
    while (!list_is_empty(&flight->sources))
        source_free(LIST_ITEM(flight->sources.next, struct source, link));
    flight->is_strict = false;
    flight->mismatches = 0;
    flight->told.bytes = 0;
    flight_bury(flight);
}

void flight_on_timer(void *arg)
{
    struct flight *flight = arg;

    switch (flight->state) {
    case FLIGHT_WAITING:
        flight_request(flight);
        break;
    case FLIGHT_PAUSED:
        if (take_is_idle(flight->take)) {
            flight_end(flight, true);
        } else {
            timer_start(flight->timer, PAUSED_KEPT_MS);
        }
        break;
    case FLIGHT_STORED:
        if (list_is_empty(&flight->followers)) {
            flight_end(flight, false);
        } else { /* they wait for the proof of their sources */
            timer_start(flight->timer, STORED_KEPT_MS);
        }
        break;
    case FLIGHT_STARTING:
    case FLIGHT_HASHING:
    case FLIGHT_REQUESTING:
    case FLIGHT_STREAMING:
    case FLIGHT_VERIFYING:
    case FLIGHT_STORING:
    case FLIGHT_FAILED:
    case FLIGHT_STATES:
        break;
    }
}

/* ---- joining and leaving ---- */

/* Nobody follows: is it worth going on? */
static bool is_worth_it(const struct flight *flight)
{
    uint64_t bytes = flight->take ? flight->take->queued : 0;

    if (flight->size == UINT64_MAX)
        return bytes <= UNKNOWN_SIZE_MAX;
    return bytes >= flight->size / 4 || flight->size - bytes <= GO_ON_LEFT_BYTES;
}

static void pause_flight(struct flight *flight)
{
    exchange_cancel(&flight->exchange);
    timer_stop(flight->told.timer);
    flight->is_held = false;
    if (!flight->take) { /* nothing is there to be kept */
        flight_end(flight, false);
        return;
    }
    flight_set_state(flight, FLIGHT_PAUSED);
    flight_log(flight, LOG_INFO, "paused: nobody follows");
    timer_start(flight->timer, PAUSED_KEPT_MS);
}

void flight_look_alone(struct flight *flight)
{
    bool is_running = flight->state == FLIGHT_REQUESTING || flight->state == FLIGHT_STREAMING ||
                      flight->state == FLIGHT_WAITING;
    if (!is_running || !list_is_empty(&flight->followers) || is_worth_it(flight))
        return;
    if (flight->size == UINT64_MAX) { /* it may have no end */
        flight_log(flight, LOG_INFO, "ended: nobody follows, and its size is not known");
        flight_end(flight, false);
    } else {
        pause_flight(flight);
    }
}

static void on_leave(struct follower *follower)
{
    struct flight *flight = follower->owner;

    follower_free(&follower);
    if (!flight->fetcher->is_closing)
        flight_look_alone(flight);
}

/* `owner`: it is one apart, for that upstream; or NULL. */
static struct flight *flight_new(struct fetcher *fetcher, const struct digest *digest,
                                 struct upstream *owner)
{
    struct flight *flight = NEW(struct flight);
    AUTO_BUF struct buf key;

    build_key(&key, digest, owner);
    flight->fetcher = fetcher;
    flight->id = ++fetcher->flights_made;
    flight->digest = *digest;
    flight->owner = owner ? upstream_ref(owner) : NULL;
    flight->is_apart = owner != NULL;
    flight->size = UINT64_MAX;
    flight->other_size = UINT64_MAX;
    list_init(&flight->sources);
    list_init(&flight->followers);
    flight->timer = timer_new(fetcher->options.loop, flight_on_timer, flight);
    flight->pace.timer = timer_new(fetcher->options.loop, flight_on_pace, flight);
    flight->told.timer = timer_new(fetcher->options.loop, flight_on_announce, flight);
    map_set(fetcher->flights, buf_bytes(&key), flight);
    metrics_add(METRIC_flights_started, 1);
    fetcher_count_flights(fetcher);
    return flight;
}

void flight_join(struct fetcher *fetcher, struct follower *follower,
                 const struct message_join *join, struct upstream *upstream)
{
    struct flight *flight = find_flight(fetcher, &join->digest, upstream);
    struct flight *shared = find_flight(fetcher, &join->digest, NULL);
    bool is_free = !join->is_check && (!shared || !shared->owner || shared->owner == upstream);

    if (!flight && is_free)
        flight = shared;
    bool is_new = !flight;
    if (is_new)
        flight = flight_new(fetcher, &join->digest, is_free ? NULL : upstream);
    if (flight->size == UINT64_MAX && join->size != UINT64_MAX && !flight->take) {
        flight->size = join->size;
        flight->is_size_hint = true;
    }
    if (join->size != UINT64_MAX && flight->size != join->size)
        flight_log(flight, LOG_INFO, "a manifest says another size");
    follower->owner = flight;
    follower->on_leave = on_leave;
    follower->source = source_get(flight, upstream, join->repository);
    list_append(&flight->followers, &follower->link);
    if (is_new) {
        flight_begin(flight);
        if (flight->state == FLIGHT_REQUESTING)
            flight_log(flight, LOG_INFO, "started");
    } else if (flight->state == FLIGHT_PAUSED) {
        timer_stop(flight->timer);
        flight->source = NULL;
        follower->source->is_spent = false;
        flight_request(flight);
    } else {
        flight_admit(flight, follower);
        flight_hurry(flight);
    }
}

/* ---- stored, and damaged since ---- */

/* Those who follow a stored flight wait for the proof of their source; none has its spool. */
static void restart(struct flight *flight)
{
    flight_log(flight, LOG_WARN, "the stored file is damaged: starting over");
    timer_stop(flight->timer);
    take_drop(&flight->take, true); /* its name is the keeper's */
    flight->is_stored = false;
    flight->is_strict = false;
    flight->mismatches = 0;
    flight->told.bytes = 0;
    flight->source = NULL;
    LIST_EACH (link, &flight->sources)
        LIST_ITEM(link, struct source, link)->is_spent = false;
    flight_set_state(flight, FLIGHT_STARTING);
    flight_begin(flight);
}

static void forget_stored(struct flight *flight)
{
    if (!flight || flight->state != FLIGHT_STORED || !flight->is_stored)
        return;
    if (list_is_empty(&flight->followers))
        flight_end(flight, false);
    else
        restart(flight);
}

void flight_forget_stored(struct fetcher *fetcher, const struct digest *digest,
                          const struct upstream *upstream)
{
    forget_stored(find_flight(fetcher, digest, upstream));
    forget_stored(find_flight(fetcher, digest, NULL));
}

/* ---- private to one upstream ---- */

/* The new spool is another file: who had the old one open opens anew. */
static void move_follower(struct follower *follower, struct flight *flight)
{
    const struct source *source = follower->source;

    list_remove(&follower->link);
    follower->owner = flight;
    follower->is_open = false;
    follower->source = source_get(flight, source->upstream, slice_of(source->repository));
    list_append(&flight->followers, &follower->link);
}

static void move_source(struct source *source)
{
    struct flight *flight = source->flight;
    struct flight *apart = find_flight(flight->fetcher, &flight->digest, source->upstream);

    LIST_EACH (link, &flight->followers) {
        struct follower *follower = LIST_ITEM(link, struct follower, link);
        if (follower->source != source)
            continue;
        bool is_new = !apart;
        if (is_new)
            apart = flight_new(flight->fetcher, &flight->digest, source->upstream);
        move_follower(follower, apart);
        if (is_new) {
            flight_begin(apart);
        } else {
            flight_admit(apart, follower);
        }
    }
    source_free(source);
}

void flight_seclude(struct flight *flight, struct upstream *owner)
{
    if (flight->owner)
        return;
    flight->owner = upstream_ref(owner);
    LIST_EACH (link, &flight->sources) {
        struct source *source = LIST_ITEM(link, struct source, link);
        if (source->upstream != owner)
            move_source(source);
    }
}

/* ---- all of them ---- */

static void end_one(struct slice key, void *value, void *arg)
{
    (void)key;
    (void)arg;
    flight_end(value, true);
}

void flight_free_all(struct fetcher *fetcher)
{
    map_each(fetcher->flights, end_one, NULL);
    free_dead(fetcher);
    map_free(&fetcher->flights);
}
