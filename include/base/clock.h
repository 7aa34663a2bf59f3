/* SPDX-License-Identifier: Apache-2.0 */
/* Time, in two types that cannot be confused. Tests can freeze and move it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* CLOCK_BOOTTIME, for deadlines and durations. All processes of a machine see the same time. */
struct monotime {
    uint64_t ms;
};

/* CLOCK_REALTIME, for what is written to disk, and for the lifetimes of tokens. */
struct walltime {
    uint64_t ms; /* since 1970 */
};

/* The time now on the clock that never jumps. */
struct monotime clock_mono(void);
/* The time of day now. */
struct walltime clock_wall(void);
uint64_t clock_mono_us(void); /* for measurements */
/* later - earlier, or 0 if `earlier` is the later one. */
uint64_t monotime_since(struct monotime later, struct monotime earlier);
/* A sum that overflows is UINT64_MAX, which means never. */
struct monotime monotime_add(struct monotime time, uint64_t ms);

/* Stop both clocks at these values; only clock_advance moves them then. For tests. */
void clock_freeze(struct monotime mono, struct walltime wall);
void clock_advance(uint64_t ms);
void clock_thaw(void);

/* "2026-09-18T10:11:12.345Z" (24 characters and NUL). */
void walltime_print(struct walltime time, char out[32]);
/* The date in a response (RFC 9110 5.6.7). */
void walltime_print_http(struct walltime time, char out[32]);
/* Reads such a date, but not its obsolete forms. False if `text` is none. */
bool walltime_parse_http(struct slice text, struct walltime *out);

#endif
