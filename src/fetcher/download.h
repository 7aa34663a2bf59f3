/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the bytes of a flight come: a spool of an earlier attempt is hashed, its upstreams are asked
 * for the rest, what they send is written, and the digest is compared at the end.
 *
 *   IDLE ──> HASHING ─────────────┐ whole
 *     │         │ a part          v
 *     └───> REQUESTING ──> STREAMING ──> VERIFYING ──> WHOLE
 *              ^   │ cut, 5xx   │ cut        │ wrong
 *              │   v            v            │
 *              └─ WAITING <─────┴────────────┘        stopped, or failed: IDLE
 *
 * Who follows, and what they are told, is the flight's affair (flight.h). The download tells the
 * flight what happens by calling the functions there; only download.c writes these members.
 */
#ifndef DOWNLOAD_H
#define DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "retry.h"

struct exchange;
struct flight;
struct source;
struct take;
struct timer;

enum download_state {
    DOWNLOAD_IDLE,
    DOWNLOAD_HASHING,    /* the spool of an earlier attempt is read */
    DOWNLOAD_REQUESTING, /* no head yet */
    DOWNLOAD_STREAMING,
    DOWNLOAD_WAITING, /* for the next try */
    DOWNLOAD_VERIFYING,
    DOWNLOAD_WHOLE, /* the digest is right */
    DOWNLOAD_STATES,
};

struct download_refusal {
    struct error err; /* why we ended the exchange ourselves; ERR_NONE: we did not */
    bool is_final;    /* for the whole flight */
};

struct download_pace { /* of the exchange */
    struct timer *timer;
    uint64_t bytes; /* queued when it was started */
    bool is_slow;   /* another upstream, when there is one, is asked instead */
};

struct download {
    struct flight *flight;
    enum download_state state;
    struct take *take;     /* being written, or whole; NULL: nothing came yet */
    unsigned attempt;      /* of the next take */
    bool is_mixed;         /* not all of the take came from the source being asked */
    unsigned mismatches;   /* wrong digests in a row of that source */
    uint64_t size;         /* of the blob; UINT64_MAX: unknown */
    bool is_size_hint;     /* a manifest says so, or a wrong take; no head does yet */
    uint64_t other_size;   /* what a refused head said */
    struct source *source; /* the one being asked */
    size_t url;            /* index of its upstream's address to begin with */
    struct retry retry;
    struct exchange *exchange;
    uint64_t requested_at; /* offset of the exchange's first byte */
    bool is_held;          /* the exchange is paused: the disk is slower */
    struct download_refusal refusal;
    struct download_pace pace;
    struct timer *timer; /* until the next try */
};

void download_init(struct download *download, struct flight *flight);
/* After download_end, when nothing calls it any more. */
void download_cleanup(struct download *download);
/* Of an idle one: go on with a spool that is there, or ask. */
void download_begin(struct download *download);
/* Of an idle one that has a take: ask for the rest. */
void download_resume(struct download *download);
/* Ask nobody any more; the take stays. */
void download_stop(struct download *download);
/* The same, and nothing is kept but, when `keep_take`, the take. */
void download_reset(struct download *download, bool keep_take);
/* For good. The spool is handed to the index when `keep_spool` and there is something in it;
 * `is_stored`: its file is the keeper's by now. */
void download_end(struct download *download, bool keep_spool, bool is_stored);
/* What was stored is damaged: as if nothing had been brought. */
void download_discard(struct download *download);
/* A manifest says how large the blob is. */
void download_hint_size(struct download *download, uint64_t size);
/* Is there a spool that followers may read? Not while requesting from the start. */
bool download_has_spool(const struct download *download);
/* Does it ask, or wait to? */
bool download_is_asking(const struct download *download);
/* Nothing of it is in the pool. */
bool download_is_idle(const struct download *download);
/* Goes on with another upstream when there is one and this one is slow. */
void download_try_faster_source(struct download *download);
/* The source goes. */
void download_forget_source(struct download *download, const struct source *source);
void download_on_timer(void *arg);
void download_on_pace(void *arg);

#endif
