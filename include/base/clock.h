/* SPDX-License-Identifier: Apache-2.0 */
/* Time, in two types that cannot be mixed up. Tests move it by hand. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct monotime { /* CLOCK_BOOTTIME: for deadlines and durations; the same in all processes of a
                     machine */
    uint64_t ms;
};

struct walltime { /* CLOCK_REALTIME: what is written to disk, and token lifetimes */
    uint64_t ms;  /* since 1970 */
};

/* Now, on the clock that never jumps. */
struct monotime clock_mono(void);
/* Now, on the clock that people see. */
struct walltime clock_wall(void);
uint64_t clock_mono_us(void); /* for measuring */
/* a - b, 0 if b is later. */
uint64_t monotime_since(struct monotime later, struct monotime earlier);
/* UINT64_MAX, which is never, instead of an overflow. */
struct monotime monotime_add(struct monotime time, uint64_t ms);

/* From now on both clocks stand still at these values and move only by clock_advance: for tests. */
void clock_freeze(struct monotime mono, struct walltime wall);
void clock_advance(uint64_t ms);
void clock_thaw(void);

/* "2026-09-18T10:11:12.345Z" (24 characters and NUL). */
void walltime_print(struct walltime time, char out[32]);
/* RFC 9110 5.6.7 date of a response. */
void walltime_print_http(struct walltime time, char out[32]);
/* Such a date, exactly as it is printed (no obsolete form); false if it is none. */
bool walltime_parse_http(struct slice text, struct walltime *out);

#endif
