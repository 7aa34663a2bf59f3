/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a download slower than `fetch.rate_min`? Its speed is an average over fetch.stall_timeout:
 * a byte now and then is no stall, but must not hold a connection for ever. Time in which we do not
 * take what the upstream sends does not count.
 */
#ifndef PACE_H
#define PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct pace_window { /* that the average is taken over */
    struct monotime since;
    uint64_t bytes; /* of the download when it began */
};

/* A new window begins; the download has so many bytes. */
void pace_begin(struct pace_window *window, uint64_t bytes);
/* True: a window of window_ms is over, and fewer than rate bytes a second came. Once a window is
 * over the next one begins. */
bool pace_is_under(struct pace_window *window, uint64_t bytes, uint64_t rate, uint64_t window_ms);

#endif
