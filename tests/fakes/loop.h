/* SPDX-License-Identifier: Apache-2.0 */
/* What a test can do to the fake loop beyond net/loop.h. */
#ifndef FAKES_LOOP_H
#define FAKES_LOOP_H

#include <stdint.h>

struct loop;

/* Let the clock move by itself at most this far from now, for "nothing happens within …".
 * UINT64_MAX, which is the start: as far as timers need. */
void fake_loop_hold_clock(struct loop *loop, uint64_t ms_from_now);
/* Run turns until there is nothing to do, now or within the time that the clock may move. Fails if
 * that does not happen: then something keeps asking for an event that it does not use. */
void fake_loop_settle(struct loop *loop);
/* Called for every watch in every turn of every loop: returns what the descriptor is ready for,
 * given what the kernel says. For fakes that stand in front of descriptors. */
typedef unsigned fake_ready_fn(int fd, unsigned events, unsigned ready);
void fake_loop_set_filter(fake_ready_fn *fn);
/* Deliver a signal that was asked for with loop_on_signal. */
void fake_loop_signal(struct loop *loop, int signal_number);

#endif
