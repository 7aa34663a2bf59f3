/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before a process that died is started again: not at all the first time, then
 * from 0.1 s doubling, while it keeps dying young. A quiet minute forgives. */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
    uint64_t next_ms;
};

/* was_ready: it had begun its work; such a process is back within a second whatever happens. */
uint64_t backoff_after_death(struct backoff *backoff, uint64_t lived_ms, bool was_ready);

#endif
