/* SPDX-License-Identifier: Apache-2.0 */
/* What a test can do to the fake loop beyond net/loop.h. */
#ifndef FAKES_LOOP_H
#define FAKES_LOOP_H

#include <stdint.h>

struct loop;

/* The clock moves by itself no further than this far from now: for "nothing happens within …".
 * UINT64_MAX: no limit (the start). */
void fake_loop_hold_clock(struct loop *loop, uint64_t ms_from_now);
/* Deliver a signal somebody asked for with loop_on_signal. */
void fake_loop_signal(struct loop *loop, int signal_number);

#endif
