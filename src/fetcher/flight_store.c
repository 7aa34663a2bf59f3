/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a flight whose digest is right: followers are told, the file is synced and handed
 * to the keeper. Then the flight ends, unless followers wait for a proof or the file could not be
 * stored: such a flight stays for a while.
 */
#include "base/list.h"
#include "config/config.h"
#include "flight.h"
#include "ipc/keeper_client.h"
#include "net/loop.h"
#include "role.h"
#include "take.h"
#include "upstream.h"

static void on_flight_stored(const struct error *err, void *arg)
{
    struct flight *flight = arg;

    flight->is_stored = !err;
    flight_set_state(flight, FLIGHT_STORED);
    flight_log(flight, LOG_INFO, err ? "verified, but not stored" : "stored");
    if (flight->is_stored && list_is_empty(&flight->followers))
        flight_end(flight, false); /* who comes now finds the blob in the ledger */
    else
        timer_start(flight->timer, FLIGHT_STORED_KEPT_MS);
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

void flight_on_synced(struct flight *flight, const struct error *err)
{
    struct take *take = flight->download.take;

    if (err) {
        flight_log(flight, LOG_ERROR, err->text);
        on_flight_stored(err, flight);
        return;
    }
    struct message_blob_stored message = {
        .place = PLACE_SPOOL,
        .file = slice_of(take->name),
        .inode = take->inode,
        .digest = flight->digest,
        .size = flight->download.size,
        .is_public = !take->is_private,
    };
    struct source *source = first_proven(flight);
    take_hand_over(take);
    if (source) {
        source->is_linked = true;
        message.origin = slice_of(source->upstream->name);
        message.repository = slice_of(source->repository);
    }
    keeper_client_tell(flight->fetcher->keeper, MESSAGE_BLOB_STORED, &message, true,
                       on_flight_stored, flight);
    while (flight_needs_proof(flight) && (source = first_proven(flight)))
        source_link(source);
}

void flight_store(struct flight *flight)
{
    if (flight->base)
        flight_hand_over(flight);
    if (flight->download.source)
        source_set_proven(flight->download.source);
    flight_set_state(flight, FLIGHT_STORING);
    flight_log(flight, LOG_INFO, "verified");
    timer_stop(flight->told.timer);
    flight_tell_verified(flight);
    if (flight->download.take->is_memory) { /* a memory file is not stored */
        flight_set_state(flight, FLIGHT_STORED);
        timer_start(flight->timer, FLIGHT_STORED_KEPT_MS);
    }
}

/* ---- stored, and damaged since ---- */

/* The followers of a stored flight wait for the proof of their source; none has its spool. */
static void restart_flight(struct flight *flight)
{
    flight_log(flight, LOG_WARN, "the stored file is damaged: starting over");
    timer_stop(flight->timer);
    download_discard(&flight->download);
    flight->is_stored = false;
    flight->is_strict = false;
    flight->told.bytes = 0;
    LIST_EACH (link, &flight->sources)
        LIST_ITEM(link, struct source, link)->is_exhausted = false;
    flight_set_state(flight, FLIGHT_FLYING);
    download_begin(&flight->download);
}

static void forget_stored_flight(struct flight *flight)
{
    if (!flight || flight->state != FLIGHT_STORED || !flight->is_stored)
        return;
    if (list_is_empty(&flight->followers))
        flight_end(flight, false);
    else
        restart_flight(flight);
}

void flight_forget_stored(struct fetcher *fetcher, const struct digest *digest,
                          const struct upstream *upstream)
{
    forget_stored_flight(flight_find(fetcher, digest, upstream));
    forget_stored_flight(flight_find(fetcher, digest, NULL));
}
