/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A download brings the bytes of a flight: the spool of an earlier attempt is hashed, the upstreams
 * are asked for the rest, what they send is written, and the digest is compared at the end.
 *
 *   IDLE ──> HASHING ─────────────┐ whole
 *     │         │ a part          v
 *     └───> REQUESTING ──> STREAMING ──> VERIFYING ──> WHOLE
 *              ^   │ cut, 5xx   │ cut        │ wrong
 *              │   v            v            │
 *              └─ WAITING <─────┴────────────┘        stopped, or failed: IDLE
 *
 * The flight knows the followers and what they are told (flight.h); the download calls its
 * functions when something happens. Only download.c writes the members of struct download.
 */
#ifndef FETCHER_DOWNLOAD_H
#define FETCHER_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "pace.h"
#include "retry.h"

struct exchange;
struct flight;
struct source;
struct take;
struct timer;
struct upstream;

enum download_state {
    DOWNLOAD_IDLE,
    DOWNLOAD_HASHING,    /* the spool of an earlier attempt is being read */
    DOWNLOAD_REQUESTING, /* no head has come yet */
    DOWNLOAD_STREAMING,
    DOWNLOAD_WAITING, /* for the next try */
    DOWNLOAD_VERIFYING,
    DOWNLOAD_WHOLE, /* the digest is right */
    DOWNLOAD_STATES,
};

struct download_refusal {
    struct error err; /* why we ended the exchange; ERR_NONE: we did not */
    bool is_final;    /* the whole flight fails */
};

struct download_pace { /* the speed of the exchange */
    struct timer *timer;
    uint64_t bytes;            /* take->queued when the timer was started */
    struct pace_window window; /* for fetch.rate_min */
    bool is_slow;              /* another upstream, if there is one, is asked instead */
};

struct download {
    struct flight *flight;
    enum download_state state;
    struct take *take;     /* being written, or whole; NULL: nothing has come yet */
    unsigned attempt;      /* of the next take */
    bool is_mixed;         /* some of the take came from another source than the current one */
    unsigned mismatches;   /* wrong digests in a row from the current source */
    uint64_t size;         /* of the blob; UINT64_MAX: unknown */
    bool is_size_hint;     /* the size is from a manifest or a wrong take, not from a head */
    uint64_t other_size;   /* the size that a refused head said */
    struct source *source; /* the current one, that is asked; NULL: none */
    size_t url;            /* index of its upstream's address to begin with */
    struct retry retry;
    struct exchange *exchange;
    uint64_t requested_at; /* offset of the exchange's first byte */
    bool is_held;          /* the exchange is paused because the disk is slower */
    struct download_refusal refusal;
    struct download_pace pace;
    struct timer *timer; /* until the next try */
};

void download_init(struct download *download, struct flight *flight);
/* Free the timers: after download_end, outside the download's own callbacks. */
void download_cleanup(struct download *download);
/* Start an idle download: take over a leftover spool, or ask an upstream. */
void download_begin(struct download *download);
/* Start an idle download that has a take: ask for the rest of it. */
void download_resume(struct download *download);
/* Cancel the exchange and the timers; the take stays. */
void download_stop(struct download *download);
/* The same, and start from the beginning next time unless `keep_take`. */
void download_reset(struct download *download, bool keep_take);
/* End it. With `keep_spool`, a spool that has bytes is left to the index of leftover spools;
 * `is_stored`: its file has become the keeper's. */
void download_end(struct download *download, bool keep_spool, bool is_stored);
/* The stored file is damaged: forget all that was brought. */
void download_discard(struct download *download);
/* A manifest says that the blob has this size; UINT64_MAX: it does not. */
void download_hint_size(struct download *download, uint64_t size);
/* Is there a spool that followers may read? There is none while the first head is awaited. */
bool download_has_spool(const struct download *download);
/* Is it asking an upstream, or waiting for the next try? */
bool download_is_asking(const struct download *download);
/* Does it use one of the connections to that upstream? */
bool download_occupies(const struct download *download, const struct upstream *upstream);
/* Do downloads wait for a connection to the upstream that it asks? */
bool download_is_crowded(const struct download *download);
/* Is nothing of it in the pool? */
bool download_is_idle(const struct download *download);
/* If the current upstream is slow and there is another, go on with that one. */
void download_try_faster_source(struct download *download);
/* The source is about to be freed. */
void download_forget_source(struct download *download, const struct source *source);
void download_on_timer(void *arg);
void download_on_pace(void *arg);

#endif
