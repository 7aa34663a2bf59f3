/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: descriptors, timers, deferred calls, signals. One per role, one thread. (door:
 * libevent)
 *
 * tests/fakes/loop.c is a second implementation: real descriptors by poll(2), timers on the frozen
 * clock of base/clock, which moves to the next timer whenever no descriptor is ready. Hours pass in
 * milliseconds.
 *
 * No object dies inside its own callback: stop it, and free it with loop_defer.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct watch;
struct timer;

/* An empty loop; aborts when the kernel gives none. */
struct loop *loop_new(void);
/* Runs what was deferred; watches and timers must be gone. */
void loop_free(struct loop **loop);
/* Until loop_stop. */
void loop_run(struct loop *loop);
/* loop_run returns after this turn. */
void loop_stop(struct loop *loop);
/* One turn: wait for at most wait_ms, run what is ready. For tests, and for start-up before
 * loop_run. */
void loop_turn(struct loop *loop, uint64_t wait_ms);

/* Call fn(arg) after this turn, in order of deferral. */
typedef void loop_fn(void *arg);
void loop_defer(struct loop *loop, loop_fn *fn, void *arg);
/* Drop all deferred calls with this arg that have not run. */
void loop_cancel_deferred(struct loop *loop, void *arg);

/* Called after each turn with the microseconds its callbacks took: loop latency. NULL: none. */
typedef void loop_turn_fn(uint64_t busy_us, void *arg);
void loop_on_turn(struct loop *loop, loop_turn_fn *fn, void *arg);

/* What a descriptor is ready for. */
enum watch_events {
    WATCH_NONE = 0,
    WATCH_READ = 1,
    WATCH_WRITE = 2,
};

/* Level-triggered. `ready` has the events that are. The descriptor stays the caller's. */
typedef void watch_fn(unsigned ready, void *arg);
struct watch *watch_new(struct loop *loop, int fd, watch_fn *fn, void *arg);
void watch_set(struct watch *watch, unsigned events); /* cheap when nothing changes */
void watch_free(struct watch **watch);                /* before the descriptor is closed */

/* Called once each time a timer has run out. */
typedef void timer_fn(void *arg);
/* Not running yet. */
struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg);
void timer_start(struct timer *timer, uint64_t ms); /* once; again moves it */
/* Its callback does not come any more; harmless when it is not running. */
void timer_stop(struct timer *timer);
/* Started, and neither run out nor stopped. */
bool timer_is_running(const struct timer *timer);
/* Stops it first. */
void timer_free(struct timer **timer);

/* fn(signal number) on the loop, not in the handler. */
typedef void loop_signal_fn(int signal_number, void *arg);
void loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg);

struct pool;
/* Watch the pool and run what is done on this loop. One pool a loop. */
void loop_add_pool(struct loop *loop, struct pool *pool);

#endif
