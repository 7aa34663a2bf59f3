/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the followers of a flight are told, and when: OPEN once their source is proven and there is
 * a spool, GREW when it has grown, TAKEN when the download has started over in a new spool, and
 * VERIFIED at the end.
 *
 * While there is a base, its readers are told nothing but TAKEN, and no new follower is admitted:
 * all followers read the same take.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "config/config.h"
#include "flight.h"
#include "follower.h"
#include "net/loop.h"
#include "role.h"
#include "take.h"
#include "upstream.h"

#define ANNOUNCE_BYTES (256ul * 1024)
#define ANNOUNCE_MS    5

static bool is_verified(const struct flight *flight)
{
    return flight->state == FLIGHT_STORING || flight->state == FLIGHT_STORED;
}

/* Is there something to read, for new followers too? */
static bool has_spool(const struct flight *flight)
{
    return !flight->base && flight->state != FLIGHT_FAILED && download_has_spool(&flight->download);
}

static void tell_verified(struct flight *flight, struct follower *follower)
{
    struct message_verified verified = {.request = follower->request,
                                        .size = flight->download.size};

    follower_send(follower, MESSAGE_VERIFIED, &verified, -1);
    follower_free(&follower);
}

static void open_follower(struct flight *flight, struct follower *follower)
{
    struct message_open message = {
        .request = follower->request,
        .size = flight->download.size,
        .bytes = flight->download.take->bytes,
        .is_strict = flight->is_strict || follower->source->upstream->config->is_strict,
    };

    follower_send(follower, MESSAGE_OPEN, &message, flight->download.take->read_fd);
    follower->is_open = true;
    if (flight->told.bytes < flight->download.take->bytes)
        flight->told.bytes = flight->download.take->bytes;
    if (is_verified(flight))
        tell_verified(flight, follower);
}

bool flight_needs_proof(const struct flight *flight)
{
    return flight->is_apart || flight->download.take->is_private;
}

void flight_admit(struct flight *flight, struct follower *follower)
{
    if (follower->is_open || !has_spool(flight))
        return;
    if (flight_needs_proof(flight) && follower->source->state != SOURCE_PROVEN) {
        source_prove(follower->source);
        return;
    }
    open_follower(flight, follower);
}

bool flight_is_read(const struct flight *flight)
{
    LIST_EACH (link, &flight->followers) {
        if (LIST_ITEM(link, const struct follower, link)->is_open)
            return true;
    }
    return false;
}

static void reopen_all(struct flight *flight)
{
    LIST_EACH (link, &flight->followers) {
        struct follower *follower = LIST_ITEM(link, struct follower, link);

        if (follower->is_open)
            open_follower(flight, follower);
    }
}

void flight_set_strict(struct flight *flight)
{
    flight->is_strict = true;

    if (flight->download.take && !flight->base)
        reopen_all(flight);
}

void flight_resized(struct flight *flight, bool is_contradicted)
{
    flight->is_strict = flight->is_strict || is_contradicted;
    if (flight->download.take && !flight->base)
        reopen_all(flight);
}

void flight_admit_all(struct flight *flight)
{
    LIST_EACH (link, &flight->followers)
        flight_admit(flight, LIST_ITEM(link, struct follower, link));
}

static void announce_bytes(struct flight *flight)
{
    flight->told.bytes = flight->download.take->bytes;
    flight->told.at = clock_mono();
    timer_stop(flight->told.timer);
    LIST_EACH (link, &flight->followers) {
        struct follower *follower = LIST_ITEM(link, struct follower, link);
        struct message_grew grew = {.request = follower->request, .bytes = flight->told.bytes};

        if (follower->is_open)
            follower_send(follower, MESSAGE_GREW, &grew, -1);
    }
}

void flight_grew(struct flight *flight)
{
    if (flight->base || !flight->download.take ||
        flight->download.take->bytes <= flight->told.bytes)
        return;
    uint64_t waited_ms = monotime_since(clock_mono(), flight->told.at);
    bool is_whole = flight->download.take->bytes == flight->download.size;
    if (is_whole || flight->download.take->bytes - flight->told.bytes >= ANNOUNCE_BYTES ||
        waited_ms >= ANNOUNCE_MS)
        announce_bytes(flight);
    else if (!timer_is_running(flight->told.timer))
        timer_start(flight->told.timer, ANNOUNCE_MS - waited_ms);
}

void flight_on_announce(void *arg)
{
    struct flight *flight = arg;

    if (!flight->base && flight->download.take && flight->download.take->bytes > flight->told.bytes)
        announce_bytes(flight);
}

void flight_start_over(struct flight *flight, struct take **take)
{
    if (flight->base || !flight_is_read(flight)) {
        take_drop(take, false); /* no follower knows of it */
        return;
    }
    flight->base = TAKE(*take);
    flight->base_until = flight->told.bytes;
    timer_stop(flight->told.timer);
}

void flight_hand_over(struct flight *flight)
{
    struct take *take = flight->download.take;

    CHECK(flight->base && take);
    uint64_t same_until = flight->base_until < take->bytes ? flight->base_until : take->bytes;
    bool is_different = take->is_different;
    if (is_different)
        same_until = take->same_until;
    take_drop(&flight->base, false);
    flight->told.bytes = take->bytes;
    LIST_EACH (link, &flight->followers) {
        struct follower *follower = LIST_ITEM(link, struct follower, link);

        if (!follower->is_open)
            continue;
        if (flight_needs_proof(flight) && follower->source->state != SOURCE_PROVEN) {
            follower->is_open = false; /* the base was public; the new take needs a proof */
            continue;
        }
        struct message_taken taken = {
            .request = follower->request,
            .same_until = same_until,
            .size = flight->download.size,
            .bytes = take->bytes,
        };
        follower_send(follower, MESSAGE_TAKEN, &taken, take->read_fd);
    }
    flight_log(flight, LOG_INFO, "moved the followers to a new spool");
    if (is_different)
        flight_set_strict(flight);
    flight_admit_all(flight);
}

void flight_tell_verified(struct flight *flight)
{
    LIST_EACH (link, &flight->followers) {
        struct follower *follower = LIST_ITEM(link, struct follower, link);

        if (follower->is_open)
            tell_verified(flight, follower);
        else
            flight_admit(flight, follower);
    }
}
