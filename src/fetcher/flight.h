/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight is one shared download of one blob. It has sources, which may give the bytes; followers,
 * which wait for them and belong to one source each; and a download, which brings them
 * (download.h).
 *
 *   FLYING ──────────> STORING ──> STORED ──> gone, or FLYING: the stored file is damaged
 *    │  ^  the digest              the keeper has answered
 *    │  │  is right
 *    │  └──> PAUSED ──> gone       no client follows; the spool is kept
 *    └─────> FAILED ──> gone, or FLYING again when a follower has come
 *
 * There is one flight for each digest, and all upstreams are its sources, until one of them wants
 * credentials. What credentials bring is for that upstream's repositories alone, and no other
 * upstream's word proves that it has the same blob. Each of the others then gets its own flight.
 *
 * For followers a flight ends with VERIFIED, when STORING begins. That a blob cannot be stored
 * fails no pull.
 */
#ifndef FETCHER_FLIGHT_H
#define FETCHER_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "download.h"
#include "ipc/message.h"
#include "oci/digest.h"
#include "source.h"

struct error;
struct fetcher;
struct follower;
struct take;
struct timer;
struct upstream;

#define FLIGHT_STORED_KEPT_MS 10000 /* how long a STORED flight stays */

enum flight_state {
    FLIGHT_FLYING,
    FLIGHT_PAUSED,  /* no follower is left; the spool is kept for a while */
    FLIGHT_STORING, /* the file is synced, then handed to the keeper */
    FLIGHT_STORED,  /* or it could not be: then it stays for a while */
    FLIGHT_FAILED,  /* its take has work in the pool */
    FLIGHT_STATES,
};

struct flight_told { /* what followers were told */
    uint64_t bytes;
    struct monotime at;
    struct timer *timer; /* for the rest of the 5 ms between two GREW */
};

struct flight {
    struct list link; /* in fetcher->dead_flights */
    struct fetcher *fetcher;
    uint64_t id;
    struct digest digest;
    /* Only this upstream's repositories may follow: its credentials brought the bytes, or the
     * flight was made for it alone (is_apart). NULL: the flight is shared. */
    struct upstream *owner;
    bool is_apart; /* its followers may have only what their own repository is proven to have */
    enum flight_state state;
    struct list sources;
    struct list followers;
    struct take *base;   /* an older take that followers still read; NULL when none does */
    uint64_t base_until; /* bytes they were told of */
    bool is_strict;      /* a take was wrong: nothing leaves before verification */
    bool is_stored;      /* under its final name */
    struct flight_told told;
    struct timer *timer; /* of PAUSED and STORED */
    struct download download;
};

/* ---- flight.c: life ---- */
/* The follower joins the flight of that digest, which is started when there is none. */
void flight_join(struct fetcher *fetcher, struct follower *follower,
                 const struct message_join *join, struct upstream *upstream);
/* The flight for that digest of the owner alone, or (owner NULL) the shared one. NULL: none. */
struct flight *flight_find(struct fetcher *fetcher, const struct digest *digest,
                           const struct upstream *owner);
/* Its bytes are private to that upstream from here on: the sources of others, with their
 * followers, go on in flights of their own. */
void flight_make_private(struct flight *flight, struct upstream *owner);
void flight_free_all(struct fetcher *fetcher);
void flight_set_state(struct flight *flight, enum flight_state next);
void flight_log(const struct flight *flight, enum log_level level, const char *text);
/* Tell all followers; the flight ends, at once or when its take is idle. */
void flight_fail(struct flight *flight, const struct error *err, uint64_t retry_after);
/* If the take of a failed flight is idle, end the flight, or start it again for its followers. */
void flight_reap(struct flight *flight);
void flight_end(struct flight *flight, bool keep_spool);
/* A download with followers waits for a connection to that upstream: pause one without, if there is
 * one. */
void flight_make_room(const struct flight *flight, const struct upstream *upstream);
/* Pause or end a flight that has no followers, unless it is worth going on and no other download
 * waits for its connection. */
void flight_check_abandoned(struct flight *flight);

/* ---- flight_followers.c: what followers are told ---- */
/* Must the upstream confirm, for each source, that its repository has the blob? */
bool flight_needs_proof(const struct flight *flight);
void flight_admit(struct flight *flight, struct follower *follower);
void flight_admit_all(struct flight *flight);
/* The take has more bytes. */
void flight_grew(struct flight *flight);
void flight_on_announce(void *arg);
/* Does any follower know of the take, or of the base? */
bool flight_is_read(const struct flight *flight);
/* Two takes disagree, or one was wrong: from now on nothing leaves before verification. */
void flight_set_strict(struct flight *flight);
/* The size is not what followers were told; `is_contradicted`: two upstreams disagree about it. */
void flight_resized(struct flight *flight, bool is_contradicted);
/* The download starts over: *take becomes the base if followers read it, else it is dropped. */
void flight_start_over(struct flight *flight, struct take **take);
/* The new take has been compared with the base: move the followers of the base to it. */
void flight_hand_over(struct flight *flight);
void flight_tell_verified(struct flight *flight);

/* ---- flight_store.c: handed to the keeper ---- */
/* The digest is right: tell the followers, then store the file. */
void flight_store(struct flight *flight);
/* The take is synced; with err it cannot be stored. */
void flight_on_synced(struct flight *flight, const struct error *err);
/* A stored blob of that digest turned out to be damaged: flights that still offer the file they
 * stored end, or start over when somebody follows. */
void flight_forget_stored(struct fetcher *fetcher, const struct digest *digest,
                          const struct upstream *upstream);

#endif
