/* SPDX-License-Identifier: Apache-2.0 */
/* What a test can do to the fake loop beyond net/loop.h. */
#ifndef FAKES_LOOP_H
#define FAKES_LOOP_H

#include <stdint.h>

struct loop;

/* The clock moves by itself no further than this far from now: for "nothing happens within …".
 * UINT64_MAX: no limit (the start). */
void fake_loop_hold_clock(struct loop *loop, uint64_t ms_from_now);
/* Turns until there is nothing to do, now or within the time the clock may move. Fails when that
 * does not come: then something asks again and again for what it does not use. */
void fake_loop_settle(struct loop *loop);
/* Asked for every watch, in every turn: what is the descriptor ready for, if the kernel says
 * `ready`? For fakes that stand in front of descriptors. Of all loops. */
typedef unsigned fake_ready_fn(int fd, unsigned events, unsigned ready);
void fake_loop_set_filter(fake_ready_fn *fn);
/* Deliver a signal somebody asked for with loop_on_signal. */
void fake_loop_signal(struct loop *loop, int signal_number);

#endif
