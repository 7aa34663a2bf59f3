/* SPDX-License-Identifier: Apache-2.0 */
/* The delays of backoff.h. */
#include "backoff.h"

#define YOUNG_MS     10000
#define QUIET_MS     60000
#define FIRST_MS     100
#define MAX_MS       5000
#define MAX_READY_MS 500

uint64_t backoff_after_death(struct backoff *backoff, uint64_t lived_ms, bool was_ready)
{
    if (lived_ms >= QUIET_MS)
        backoff->next_ms = 0;
    if (lived_ms >= YOUNG_MS)
        return 0;
    uint64_t max = was_ready ? MAX_READY_MS : MAX_MS;
    uint64_t delay = backoff->next_ms < max ? backoff->next_ms : max;
    backoff->next_ms = delay == 0 ? FIRST_MS : delay * 2;
    return delay;
}
