/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight: one shared download of one blob. It has sources (who may give the bytes), followers
 * (who wait for them, each belonging to a source), and a take (where they are written).
 *
 *   STARTING ──> HASHING ──────────────┐ whole
 *      │            │ a part           v
 *      └──────> REQUESTING ─> STREAMING ─> VERIFYING ─> STORING ─> STORED ─> gone
 *                  ^   │ cut, 5xx  │ cut       │ wrong
 *                  │   v           v           │
 *                  └─ WAITING <────┴───────────┘        nobody follows: PAUSED ─> REQUESTING
 *
 *   anything before STORING ──> FAILED ──> gone, or STARTING when somebody asked meanwhile
 *   STORED ──> STARTING when the stored file is found damaged while somebody follows
 *
 * There is one a digest, and all upstreams are its sources, until one of them wants credentials:
 * what these bring is for that upstream's repositories alone, and no word of another upstream
 * proves that it has the same. The others then get a flight each.
 *
 * Its end for followers is VERIFIED (from VERIFYING to STORING); storing is our own affair.
 */
#ifndef FLIGHT_H
#define FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "ipc/message.h"
#include "oci/digest.h"
#include "retry.h"

struct exchange;
struct fetch;
struct fetcher;
struct follower;
struct take;
struct timer;
struct upstream;
struct worker_link;

enum flight_state {
    FLIGHT_STARTING,
    FLIGHT_HASHING,    /* a spool of before is read */
    FLIGHT_REQUESTING, /* no head yet */
    FLIGHT_STREAMING,
    FLIGHT_WAITING, /* for the next try */
    FLIGHT_PAUSED,  /* nobody follows; the spool is kept */
    FLIGHT_VERIFYING,
    FLIGHT_STORING,
    FLIGHT_STORED, /* or not to be stored; stays a while for those who ask late */
    FLIGHT_FAILED, /* its take has work in the pool */
    FLIGHT_STATES,
};

enum source_state {
    SOURCE_UNPROVEN,
    SOURCE_PROVING, /* HEAD is on its way */
    SOURCE_PROVEN,  /* the upstream has the blob in that repository */
};

struct source {
    struct list link; /* of the flight */
    struct flight *flight;
    struct upstream *upstream;
    char *repository;
    enum source_state state;
    bool is_spent;  /* all its tries failed */
    bool is_slow;   /* asked again only when no other is left */
    bool is_linked; /* the keeper was told */
    struct fetch *proof;
};

struct flight_refusal {
    struct error err; /* why we ended the exchange ourselves */
    bool is_final;    /* for the whole flight */
};

struct flight_told { /* of what followers know */
    uint64_t bytes;
    struct monotime at;
    struct timer *timer; /* the rest of the 5 ms */
};

struct flight_pace { /* of the exchange */
    struct timer *timer;
    uint64_t bytes; /* queued when it was started */
    bool is_slow;   /* another upstream, when there is one, is asked instead */
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
    struct take *take;   /* being written, or whole */
    bool is_mixed;       /* not all of it came from the source being asked */
    struct take *base;   /* an older one that followers still read; NULL when none does */
    uint64_t base_until; /* as far as they were told of it */
    unsigned attempt;    /* of the next take */
    uint64_t size;       /* UINT64_MAX: unknown */
    bool is_size_hint;   /* a manifest says so, or a wrong take; no head does yet */
    uint64_t other_size; /* what a refused head said */
    bool is_strict;      /* a take was wrong: nothing leaves before verification */
    bool is_stored;      /* under its final name */
    unsigned mismatches;
    struct source *source; /* the one being asked */
    size_t url;
    struct retry retry;
    struct exchange *exchange;
    uint64_t requested_at; /* offset of this request */
    bool is_held;          /* the exchange is paused */
    struct flight_refusal refusal;
    struct flight_pace pace;
    struct flight_told told;
    struct timer *timer; /* of the state */
};

/* ---- flight.c: life ---- */
/* The follower joins the flight of that digest, which is started if there is none. */
void flight_join(struct fetcher *fetcher, struct follower *follower,
                 const struct message_join *join, struct upstream *upstream);
/* A stored blob of that digest turned out to be damaged: flights that still offer the file they
 * stored end, or start over when somebody follows. */
void flight_forget_stored(struct fetcher *fetcher, const struct digest *digest,
                          const struct upstream *upstream);
/* Its bytes are private to that upstream from here on: the sources of others, with their
 * followers, go on in flights of their own. */
void flight_seclude(struct flight *flight, struct upstream *owner);
void flight_free_all(struct fetcher *fetcher);
void flight_set_state(struct flight *flight, enum flight_state next);
void flight_log(const struct flight *flight, enum log_level level, const char *text);
/* All followers are told; the flight ends. */
void flight_fail(struct flight *flight, const struct error *err, uint64_t retry_after);
/* The take of a failed flight is idle. */
void flight_bury(struct flight *flight);
void flight_end(struct flight *flight, bool keep_spool);
/* Nobody follows? Then it may be paused, or ended. */
void flight_look_alone(struct flight *flight);

/* ---- flight_followers.c: what followers are told ---- */
/* Does a follower get its bytes only on its upstream's word that the repository has them? */
bool flight_needs_proof(const struct flight *flight);
void flight_admit(struct flight *flight, struct follower *follower);
void flight_admit_all(struct flight *flight);
void flight_grew(struct flight *flight);
void flight_on_announce(void *arg);
/* Does any know of the take, or of the base? */
bool flight_is_read(const struct flight *flight);
/* Two takes disagree, or one was wrong: nothing more leaves before verification. */
void flight_set_strict(struct flight *flight);
/* The size is another than they were told. */
void flight_set_size(struct flight *flight, uint64_t size);
/* The new take is compared: move those who read the base. */
void flight_hand_over(struct flight *flight);
void flight_tell_verified(struct flight *flight);

/* ---- flight_download.c: bytes ---- */
void flight_begin(struct flight *flight);
void flight_request(struct flight *flight);
void flight_on_timer(void *arg);
void flight_on_pace(void *arg);
/* Goes on with another upstream when there is one and this one is slow. */
void flight_hurry(struct flight *flight);
/* The source has nothing more to give: the next is asked, or the flight fails. */
void flight_spend_source(struct flight *flight, const struct error *err, uint64_t retry_after);

/* ---- flight_take.c: spools and storing ---- */
/* ERR_NOT_FOUND: there is no spool of before. */
int flight_adopt_take(struct flight *flight, struct error *err);
int flight_open_take(struct flight *flight, bool is_private, struct error *err);
/* The next byte is the first again. */
void flight_start_over(struct flight *flight);
void flight_verified(struct flight *flight);

/* ---- source.c ---- */
struct source *source_get(struct flight *flight, struct upstream *upstream,
                          struct slice repository);
struct source *source_next(struct flight *flight); /* to be asked; NULL: all are spent */
/* Is there one of another upstream that can be asked? */
bool source_has_other(const struct flight *flight, bool may_be_slow);
/* What is true of the source is true of all of its upstream. */
void source_set_slow(struct source *source);
void source_set_spent(struct source *source);
/* HEAD; followers of the source are admitted or refused. */
void source_prove(struct source *source);
/* Its upstream refuses: followers are told, the source goes. */
void source_remove(struct source *source, const struct error *err);
/* Tell the keeper that the blob is visible there. */
void source_link(struct source *source);
void source_set_state(struct source *source, enum source_state next);
void source_free(struct source *source);
void source_print_blob_path(struct slice repository, const struct digest *digest, char *out,
                            size_t size);

#endif
