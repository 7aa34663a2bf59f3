/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: descriptors, timers, deferred calls and signals. Each process has one, and one
 * thread runs it. (door: libevent)
 *
 * tests/fakes/loop.c is a second implementation: it polls real descriptors, but its timers run on
 * the frozen clock of base/clock, which it moves to the next timer whenever no descriptor is ready.
 *
 * Do not free an object inside its own callback: stop it, and free it with loop_defer.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct watch;
struct timer;

/* Aborts when the kernel refuses one. */
struct loop *loop_new(void);
/* Runs the calls that are still deferred. All watches and timers must have been freed. */
void loop_free(struct loop **loop);
/* Run turns until loop_stop is called. */
void loop_run(struct loop *loop);
/* Make loop_run return after this turn. */
void loop_stop(struct loop *loop);
/* Run one turn: wait for at most wait_ms, then call what is ready. For tests, and before loop_run.
 */
void loop_turn(struct loop *loop, uint64_t wait_ms);

/* Call fn(arg) at the end of this turn. Calls run in the order in which they were deferred. */
typedef void loop_fn(void *arg);
void loop_defer(struct loop *loop, loop_fn *fn, void *arg);
/* Drop all deferred calls with this arg that have not run yet. */
void loop_cancel_deferred(struct loop *loop, void *arg);

/* Called after each turn with the time its callbacks took. NULL: nothing is called. */
typedef void loop_turn_fn(uint64_t busy_us, void *arg);
void loop_on_turn(struct loop *loop, loop_turn_fn *fn, void *arg);

/* What a descriptor may be ready for: bits. */
enum watch_events {
    WATCH_NONE = 0,
    WATCH_READ = 1,
    WATCH_WRITE = 2,
};

/* Called again and again while the descriptor is ready for an event that is set (level-triggered).
 * The descriptor stays the caller's. */
typedef void watch_fn(unsigned ready, void *arg);
struct watch *watch_new(struct loop *loop, int fd, watch_fn *fn, void *arg);
void watch_set(struct watch *watch, unsigned events); /* cheap if nothing changes */
void watch_free(struct watch **watch);                /* call it before closing the descriptor */

/* Called once when a timer has run out. */
typedef void timer_fn(void *arg);
/* A timer that is not running. */
struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg);
void timer_start(struct timer *timer, uint64_t ms); /* runs once; starting it again moves it */
/* Its callback will not be called. Harmless if it is not running. */
void timer_stop(struct timer *timer);
/* It was started, and has neither run out nor been stopped. */
bool timer_is_running(const struct timer *timer);
/* Stops it as well. */
void timer_free(struct timer **timer);

/* Called in a turn of the loop, not in the signal handler. */
typedef void loop_signal_fn(int signal_number, void *arg);
void loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg);

struct pool;
/* Watch the pool and call `done` of its work on this loop. A loop can have one pool. */
void loop_add_pool(struct loop *loop, struct pool *pool);

#endif
