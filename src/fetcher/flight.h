/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight: one shared download of one blob. It has sources (who may give the bytes), followers
 * (who wait for them, each belonging to a source), and a download (how they come: download.h).
 *
 *   FLYING ──────────> STORING ──> STORED ──> gone, or FLYING: the stored file is damaged
 *    │  ^  the digest              the keeper has answered
 *    │  │  is right
 *    │  └──> PAUSED ──> gone       nobody follows; the spool is kept
 *    └─────> FAILED ──> gone, or FLYING when somebody asked meanwhile
 *
 * There is one a digest, and all upstreams are its sources, until one of them wants credentials:
 * what these bring is for that upstream's repositories alone, and no word of another upstream
 * proves that it has the same. The others then get a flight each.
 *
 * For followers it ends with VERIFIED, at the beginning of STORING; storing is our own affair.
 */
#ifndef FLIGHT_H
#define FLIGHT_H

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

enum flight_state {
    FLIGHT_FLYING,
    FLIGHT_PAUSED,  /* nobody follows; the spool is kept for a while */
    FLIGHT_STORING, /* sync, then the keeper */
    FLIGHT_STORED,  /* or not to be stored; stays a while for those who ask late */
    FLIGHT_FAILED,  /* its take has work in the pool */
    FLIGHT_STATES,
};

struct flight_told { /* what followers know */
    uint64_t bytes;
    struct monotime at;
    struct timer *timer; /* the rest of the 5 ms */
};

struct flight {
    struct list link; /* of the dead ones */
    struct fetcher *fetcher;
    uint64_t id;
    struct digest digest;
    struct upstream *owner; /* its credentials brought bytes: no other's followers; or NULL */
    bool is_apart;          /* made for its owner alone: another flight of the digest is not, or
                               its followers may have only what their own repository has */
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
/* The follower joins the flight of that digest, which is started if there is none. */
void flight_join(struct fetcher *fetcher, struct follower *follower,
                 const struct message_join *join, struct upstream *upstream);
/* The flight of that digest: the owner's own, or (NULL) the shared one. NULL: there is none. */
struct flight *flight_find(struct fetcher *fetcher, const struct digest *digest,
                           const struct upstream *owner);
/* Its bytes are private to that upstream from here on: the sources of others, with their
 * followers, go on in flights of their own. */
void flight_make_private(struct flight *flight, struct upstream *owner);
void flight_free_all(struct fetcher *fetcher);
void flight_set_state(struct flight *flight, enum flight_state next);
void flight_log(const struct flight *flight, enum log_level level, const char *text);
/* All followers are told; the flight ends. */
void flight_fail(struct flight *flight, const struct error *err, uint64_t retry_after);
/* A failed flight whose take may be idle now: it goes, or begins again. */
void flight_reap(struct flight *flight);
void flight_end(struct flight *flight, bool keep_spool);
/* Nobody follows? Then it may be paused, or ended. */
void flight_check_abandoned(struct flight *flight);

/* ---- flight_followers.c: what followers are told ---- */
/* Does a follower get its bytes only on its upstream's word that the repository has them? */
bool flight_needs_proof(const struct flight *flight);
void flight_admit(struct flight *flight, struct follower *follower);
void flight_admit_all(struct flight *flight);
/* The take has more bytes. */
void flight_grew(struct flight *flight);
void flight_on_announce(void *arg);
/* Does any follower know of the take, or of the base? */
bool flight_is_read(const struct flight *flight);
/* Two takes disagree, or one was wrong: nothing more leaves before verification. */
void flight_set_strict(struct flight *flight);
/* The size is another than they were told; `is_contradicted`: two upstreams say different ones. */
void flight_resized(struct flight *flight, bool is_contradicted);
/* The download begins again: its take, when followers read it, becomes the base, else it goes. */
void flight_start_over(struct flight *flight, struct take **take);
/* The new take is compared: move those who read the base. */
void flight_hand_over(struct flight *flight);
void flight_tell_verified(struct flight *flight);

/* ---- flight_store.c: handed to the keeper ---- */
/* The digest is right. */
void flight_store(struct flight *flight);
/* The take is synced, or (err) lost for storing. */
void flight_on_synced(struct flight *flight, const struct error *err);
/* A stored blob of that digest turned out to be damaged: flights that still offer the file they
 * stored end, or start over when somebody follows. */
void flight_forget_stored(struct fetcher *fetcher, const struct digest *digest,
                          const struct upstream *upstream);

#endif
