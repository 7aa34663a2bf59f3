/* SPDX-License-Identifier: Apache-2.0 */
/* See backoff.h. */
#include "backoff.h"

#define YOUNG_MS      10000
#define QUIET_MS      60000
#define FIRST_MS      100
#define MOST_MS       5000
#define MOST_READY_MS 500

uint64_t backoff_after_death(struct backoff *backoff, uint64_t lived_ms, bool was_ready)
{
    if (lived_ms >= QUIET_MS)
        backoff->next_ms = 0;
    if (lived_ms >= YOUNG_MS)
        return 0;
    uint64_t most = was_ready ? MOST_READY_MS : MOST_MS;
    uint64_t delay = backoff->next_ms < most ? backoff->next_ms : most;
    backoff->next_ms = delay == 0 ? FIRST_MS : delay * 2;
    return delay;
}
