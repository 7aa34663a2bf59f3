/* SPDX-License-Identifier: Apache-2.0 */
/* The life of flights: their table, their states, who joins and leaves, and their end. The picture
 * is in flight.h. */
#include "flight.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "config/config.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "role.h"
#include "take.h"
#include "upstream.h"

#define KEY_MAX          1024
#define PAUSED_KEPT_MS   30000
#define GO_ON_LEFT_BYTES (64ul * 1024 * 1024)

#define TO(state) (1u << FLIGHT_##state)
static const unsigned moves[FLIGHT_STATES] = {
    [FLIGHT_FLYING] = TO(PAUSED) | TO(STORING) | TO(FAILED),
    [FLIGHT_PAUSED] = TO(FLYING) | TO(FAILED),
    [FLIGHT_STORING] = TO(STORED),
    [FLIGHT_STORED] = TO(FLYING),
    [FLIGHT_FAILED] = TO(FLYING),
};
#undef TO

static const char *const state_names[FLIGHT_STATES] = {
    [FLIGHT_FLYING] = "flying", [FLIGHT_PAUSED] = "paused", [FLIGHT_STORING] = "storing",
    [FLIGHT_STORED] = "stored", [FLIGHT_FAILED] = "failed",
};

/* A drain waits for what is being stored. */
void flight_set_state(struct flight *flight, enum flight_state next)
{
    enum flight_state old = flight->state;

    CHECK((moves[old] & (1u << next)) != 0);
    flight_log(flight, LOG_DEBUG, state_names[next]);
    flight->state = next;
    if (next == FLIGHT_STORING)
        drain_hold(flight->fetcher);
    else if (old == FLIGHT_STORING)
        drain_release(flight->fetcher);
}

void flight_log(const struct flight *flight, enum log_level level, const char *text)
{
    struct log_line line;
    char digest[DIGEST_TEXT_SIZE];
    const struct source *source = flight->download.source;
    const struct take *take = flight->download.take;

    if (!log_is_on(level))
        return;
    log_begin(&line, level);
    log_u64(&line, "flight", flight->id);
    log_text(&line, "digest", digest_print(&flight->digest, digest));
    if (source) {
        log_text(&line, "origin", source->upstream->name);
        log_text(&line, "repo", source->repository);
    }
    if (take)
        log_u64(&line, "bytes", take->bytes);
    log_end(&line, "%s", text);
}

/* `owner`: the upstream that a flight is made for alone; NULL: the shared flight. */
static void build_flight_key(struct buf *key, const struct digest *digest,
                             const struct upstream *owner)
{
    uint8_t binary[DIGEST_BINARY_MAX];

    buf_init(key, KEY_MAX);
    buf_append(key, binary, digest_encode(digest, binary));
    if (owner)
        buf_append_text(key, owner->name);
}

struct flight *flight_find(struct fetcher *fetcher, const struct digest *digest,
                           const struct upstream *owner)
{
    AUTO_BUF struct buf key;

    build_flight_key(&key, digest, owner);
    return map_find(fetcher->flights, buf_bytes(&key));
}

/* ---- the end ---- */

static void free_dead_flights(void *arg)
{
    struct fetcher *fetcher = arg;

    while (!list_is_empty(&fetcher->dead_flights)) {
        struct flight *flight = LIST_ITEM(fetcher->dead_flights.next, struct flight, link);

        list_remove(&flight->link);
        timer_free(&flight->timer);
        timer_free(&flight->told.timer);
        download_cleanup(&flight->download);
        upstream_unref(&flight->owner);
        mem_free(flight);
    }
}

void flight_end(struct flight *flight, bool keep_spool)
{
    struct fetcher *fetcher = flight->fetcher;
    AUTO_BUF struct buf key;

    build_flight_key(&key, &flight->digest, flight->is_apart ? flight->owner : NULL);
    if (map_find(fetcher->flights, buf_bytes(&key)) == flight)
        map_remove(fetcher->flights, buf_bytes(&key));
    keeper_client_forget(fetcher->keeper, flight);
    while (!list_is_empty(&flight->followers)) {
        struct follower *follower = LIST_ITEM(flight->followers.next, struct follower, link);

        follower_free(&follower);
    }
    while (!list_is_empty(&flight->sources))
        source_free(LIST_ITEM(flight->sources.next, struct source, link));
    take_drop(&flight->base, false);
    download_end(&flight->download, keep_spool, flight->is_stored);
    timer_stop(flight->timer);
    timer_stop(flight->told.timer);
    fetcher_count_flights(fetcher);
    if (flight->state == FLIGHT_STORING)
        drain_release(fetcher);
    list_append(&fetcher->dead_flights, &flight->link);
    loop_defer(fetcher->options.loop, free_dead_flights, fetcher);
}

void flight_reap(struct flight *flight)
{
    if (flight->state != FLIGHT_FAILED || !download_is_idle(&flight->download))
        return;
    if (list_is_empty(&flight->followers)) {
        flight_end(flight, true);
        return;
    }
    flight_set_state(flight, FLIGHT_FLYING);
    download_begin(&flight->download);
}

/* A spool is kept for the next flight, unless no upstream would give the rest of it. */
static bool is_spool_useless(enum error_kind kind)
{
    return kind == ERR_DIGEST_MISMATCH || kind == ERR_NOT_FOUND || kind == ERR_DENIED ||
           kind == ERR_UNAUTHORIZED || kind == ERR_TOO_LARGE || kind == ERR_NO_SPACE;
}

void flight_fail(struct flight *flight, const struct error *err, uint64_t retry_after)
{
    struct error copy = *err; /* *err may belong to what is freed here */

    flight_set_state(flight, FLIGHT_FAILED);
    flight_log(flight, LOG_WARN, copy.text);
    timer_stop(flight->timer);
    timer_stop(flight->told.timer);
    download_reset(&flight->download, !is_spool_useless(copy.kind));
    take_drop(&flight->base, false);
    while (!list_is_empty(&flight->followers)) {
        struct follower *follower = LIST_ITEM(flight->followers.next, struct follower, link);

        follower_fail(&follower, &copy, retry_after);
    }
    while (!list_is_empty(&flight->sources))
        source_free(LIST_ITEM(flight->sources.next, struct source, link));
    flight->is_strict = false;
    flight->told.bytes = 0;
    flight_reap(flight);
}

static void on_flight_timer(void *arg)
{
    struct flight *flight = arg;

    switch (flight->state) {
    case FLIGHT_PAUSED:
        if (download_is_idle(&flight->download))
            flight_end(flight, true);
        else
            timer_start(flight->timer, PAUSED_KEPT_MS);
        break;
    case FLIGHT_STORED:
        if (list_is_empty(&flight->followers))
            flight_end(flight, false);
        else /* the followers wait for the proof of their sources */
            timer_start(flight->timer, FLIGHT_STORED_KEPT_MS);
        break;
    case FLIGHT_FLYING:
    case FLIGHT_STORING:
    case FLIGHT_FAILED:
    case FLIGHT_STATES:
        break;
    }
}

/* ---- joining and leaving ---- */

/* Is the download worth going on when no client follows? */
static bool is_worth_it(const struct download *download)
{
    uint64_t bytes = download->take ? download->take->queued : 0;

    if (download->size == UINT64_MAX)
        return bytes <= UNKNOWN_SIZE_MAX;
    return bytes >= download->size / 4 || download->size - bytes <= GO_ON_LEFT_BYTES;
}

static void pause_flight(struct flight *flight)
{
    download_stop(&flight->download);
    timer_stop(flight->told.timer);
    if (!flight->download.take) { /* there is nothing to keep */
        flight_end(flight, false);
        return;
    }
    flight_set_state(flight, FLIGHT_PAUSED);
    flight_log(flight, LOG_INFO, "paused, no client follows");
    timer_start(flight->timer, PAUSED_KEPT_MS);
}

void flight_check_abandoned(struct flight *flight)
{
    if (!download_is_asking(&flight->download) || !list_is_empty(&flight->followers) ||
        (is_worth_it(&flight->download) && !download_is_crowded(&flight->download)))
        return;
    if (flight->download.size == UINT64_MAX) { /* it may have no end */
        flight_log(flight, LOG_INFO, "ended, no client follows and the size is unknown");
        flight_end(flight, false);
    } else {
        pause_flight(flight);
    }
}

struct room { /* looked for */
    const struct flight *flight;
    const struct upstream *upstream;
    struct flight *idler;
};

static void find_idler(struct slice key, void *value, void *arg)
{
    struct flight *flight = value;
    struct room *room = arg;

    (void)key;
    if (!room->idler && flight != room->flight && list_is_empty(&flight->followers) &&
        download_occupies(&flight->download, room->upstream))
        room->idler = flight;
}

void flight_make_room(const struct flight *flight, const struct upstream *upstream)
{
    struct room room = {.flight = flight, .upstream = upstream};

    if (list_is_empty(&flight->followers))
        return;
    map_each(flight->fetcher->flights, find_idler, &room);
    if (room.idler)
        flight_check_abandoned(room.idler);
}

static void on_flight_leave(struct follower *follower)
{
    struct flight *flight = follower->owner;

    follower_free(&follower);
    if (!flight->fetcher->is_closing)
        flight_check_abandoned(flight);
}

/* `owner`: as for build_flight_key. */
static struct flight *flight_new(struct fetcher *fetcher, const struct digest *digest,
                                 struct upstream *owner)
{
    struct flight *flight = NEW(struct flight);
    AUTO_BUF struct buf key;

    build_flight_key(&key, digest, owner);
    flight->fetcher = fetcher;
    flight->id = ++fetcher->flights_made;
    flight->digest = *digest;
    flight->owner = owner ? upstream_ref(owner) : NULL;
    flight->is_apart = owner;
    list_init(&flight->sources);
    list_init(&flight->followers);
    download_init(&flight->download, flight);
    flight->timer = timer_new(fetcher->options.loop, on_flight_timer, flight);
    flight->told.timer = timer_new(fetcher->options.loop, flight_on_announce, flight);
    map_set(fetcher->flights, buf_bytes(&key), flight);
    metrics_add(METRIC_flights_started, 1);
    fetcher_count_flights(fetcher);
    return flight;
}

void flight_join(struct fetcher *fetcher, struct follower *follower,
                 const struct message_join *join, struct upstream *upstream)
{
    struct flight *flight = flight_find(fetcher, &join->digest, upstream);
    struct flight *shared = flight_find(fetcher, &join->digest, NULL);
    bool is_free = !join->is_check && (!shared || !shared->owner || shared->owner == upstream);

    if (!flight && is_free)
        flight = shared;
    bool is_new = !flight;
    if (is_new)
        flight = flight_new(fetcher, &join->digest, is_free ? NULL : upstream);
    download_hint_size(&flight->download, join->size);
    follower->owner = flight;
    follower->on_leave = on_flight_leave;
    follower->source = source_get(flight, upstream, join->repository);
    list_append(&flight->followers, &follower->link);
    if (is_new) {
        download_begin(&flight->download);
        if (flight->download.state == DOWNLOAD_REQUESTING)
            flight_log(flight, LOG_INFO, "started");
    } else if (flight->state == FLIGHT_PAUSED) {
        timer_stop(flight->timer);
        follower->source->is_exhausted = false;
        flight_set_state(flight, FLIGHT_FLYING);
        download_resume(&flight->download);
    } else {
        flight_admit(flight, follower);
        download_try_faster_source(&flight->download);
    }
}

/* ---- private to one upstream ---- */

/* The new spool is another file: a follower that had the old one open gets OPEN again. */
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
    struct flight *apart = flight_find(flight->fetcher, &flight->digest, source->upstream);

    LIST_EACH (link, &flight->followers) {
        struct follower *follower = LIST_ITEM(link, struct follower, link);

        if (follower->source != source)
            continue;
        bool is_new = !apart;
        if (is_new)
            apart = flight_new(flight->fetcher, &flight->digest, source->upstream);
        move_follower(follower, apart);
        if (is_new)
            download_begin(&apart->download);
        else
            flight_admit(apart, follower);
    }
    source_free(source);
}

void flight_make_private(struct flight *flight, struct upstream *owner)
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

static void end_flight(struct slice key, void *value, void *arg)
{
    (void)key;
    (void)arg;
    flight_end(value, true);
}

void flight_free_all(struct fetcher *fetcher)
{
    map_each(fetcher->flights, end_flight, NULL);
    free_dead_flights(fetcher);
    map_free(&fetcher->flights);
}
