/* SPDX-License-Identifier: Apache-2.0 */
/* See breaker.h. */
#include "breaker.h"

#define WINDOW_MS      10000
#define PAUSE_FIRST_MS 2000
#define PAUSE_MAX_MS   30000

bool breaker_allows(struct breaker *breaker)
{
    struct monotime now = clock_mono();

    if (!breaker->is_open)
        return true;
    if (now.ms < breaker->closed_until.ms)
        return false;
    /* No other request passes until the probe has answered. A probe whose answer never comes is
     * followed by another after the pause. */
    breaker->closed_until = monotime_add(now, breaker->pause_ms);
    return true;
}

bool breaker_failed(struct breaker *breaker, struct monotime began)
{
    struct monotime now = clock_mono();

    if (breaker->is_open) {
        if (began.ms <= breaker->opened_at.ms)
            return false;
        breaker->pause_ms *= 2;
        if (breaker->pause_ms > PAUSE_MAX_MS)
            breaker->pause_ms = PAUSE_MAX_MS;
        breaker->closed_until = monotime_add(now, breaker->pause_ms);
        return false;
    }
    breaker->failures[breaker->next] = now;
    breaker->next = (breaker->next + 1) % BREAKER_FAILURES;
    /* The ring is full of failures when the slot after this one, the oldest, is recent too. */
    struct monotime oldest = breaker->failures[breaker->next];
    if (oldest.ms == 0 || monotime_since(now, oldest) > WINDOW_MS)
        return false;
    breaker->is_open = true;
    breaker->opened_at = now;
    breaker->pause_ms = PAUSE_FIRST_MS;
    breaker->closed_until = monotime_add(now, breaker->pause_ms);
    return true;
}

bool breaker_worked(struct breaker *breaker)
{
    bool was_open = breaker->is_open;

    *breaker = (struct breaker){0};
    return was_open;
}
