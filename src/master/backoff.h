/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before a process that died is started again: not at all the first time, then
 * 0.1 s, doubled each time it dies young again. After a process that lived a minute, the next death
 * counts as the first. */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
    uint64_t next_ms;
};

/* was_ready: it had begun its work. Such a process is started again within half a second, even if
 * it keeps dying. */
uint64_t backoff_after_death(struct backoff *backoff, uint64_t lived_ms, bool was_ready);

#endif
