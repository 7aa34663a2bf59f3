/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circuit breaker for one address of an upstream. Five failures within ten seconds open it; then
 * the address is known to be down, and only one request now and then is let through as a probe.
 *
 *   closed --5 failures in 10 s--> open --pause over--> one probe --worked--> closed
 *                                   ^                       |
 *                                   +----- failed: twice the pause, at most 30 s
 */
#ifndef FETCHER_BREAKER_H
#define FETCHER_BREAKER_H

#include <stdbool.h>

#include "base/clock.h"

#define BREAKER_FAILURES 5

struct breaker {                                /* zeroed is closed */
    struct monotime failures[BREAKER_FAILURES]; /* the last ones, as a ring */
    unsigned next;
    bool is_open;
    struct monotime opened_at;
    struct monotime closed_until; /* while open: no probe before */
    uint64_t pause_ms;
};

/* May a request be sent? While the breaker is open, true makes the caller's request the probe. */
bool breaker_allows(struct breaker *breaker);
/* The outcome of a request that was sent at `began`. While the breaker is open only probes count:
 * requests that were on their way when it opened say nothing new. */
/* True: the breaker has opened by it. */
bool breaker_failed(struct breaker *breaker, struct monotime began);
/* True: the breaker was open. */
bool breaker_worked(struct breaker *breaker);

#endif
