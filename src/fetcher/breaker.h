/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is an upstream's address known to be down? Five failures within ten seconds open the breaker;
 * then one request in a while is let through to see.
 *
 *   closed --5 failures in 10 s--> open --pause over--> one probe --worked--> closed
 *                                   ^                       |
 *                                   +----- failed: twice the pause, at most 30 s
 */
#ifndef BREAKER_H
#define BREAKER_H

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

/* May a request be sent? While open this hands out the one probe. */
bool breaker_allows(struct breaker *breaker);
/* Of a request that was sent at `began`. While open only the probes count: those that were on their
 * way when it opened tell nothing new. */
void breaker_failed(struct breaker *breaker, struct monotime began);
void breaker_worked(struct breaker *breaker);

#endif
