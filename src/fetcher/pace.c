/* SPDX-License-Identifier: Apache-2.0 */
/* See pace.h. */
#include "pace.h"

void pace_begin(struct pace_window *window, uint64_t bytes)
{
    window->since = clock_mono();
    window->bytes = bytes;
}

bool pace_is_under(struct pace_window *window, uint64_t bytes, uint64_t rate, uint64_t window_ms)
{
    uint64_t passed_ms = monotime_since(clock_mono(), window->since);

    if (passed_ms < window_ms)
        return false;
    uint64_t came = bytes - window->bytes;
    pace_begin(window, bytes);
    return came < rate * passed_ms / 1000;
}
