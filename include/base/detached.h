/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for calls that take as long as they like and that nobody can interrupt: getaddrinfo().
 * base/pool is for work that ends soon, because whoever frees a pool waits for it; nobody ever
 * waits here. A call owns its memory: when its owner is gone, the thread that returns frees it.
 *
 * Threads are started on demand, at most as many as the limit, and end when nothing waits for them.
 * The loop watches detached_descriptor() for reading and calls detached_run_done() then.
 *
 * tests/fakes/detached.c is a second implementation, without threads: the test says which call
 * returns.
 */
#ifndef BASE_DETACHED_H
#define BASE_DETACHED_H

#include <stddef.h>

#include "base/list.h"

struct detached;
struct error;

/* Embedded in what the caller allocates, which must point to nothing that can be freed before
 * `done`. After `done` it is the caller's again. */
struct detached_call {
    /* On a thread of its own; may wait for ever. */
    void (*run)(struct detached_call *call);
    /* On the loop's thread, from detached_run_done. */
    void (*done)(struct detached_call *call);
    /* Instead of `done` when the object was freed meanwhile: frees the call. On any thread. */
    void (*drop)(struct detached_call *call);
    struct list link; /* of the object */
};

/* At most so many threads at a time; none is started yet. */
struct detached *detached_new(unsigned threads);
/* Never waits. Calls that have not run, or whose `done` has not come, are dropped here; those that
 * are running are dropped when they return. */
void detached_free(struct detached **detached);
/* From the loop's thread only. While all threads are taken the call waits for one. ERR_BUSY when
 * the system gives no thread and none is running; the call remains the caller's then. */
int detached_submit(struct detached *detached, struct detached_call *call, struct error *err);
/* Readable when detached_run_done has something to do. */
int detached_descriptor(const struct detached *detached);
/* Calls `done` of what has returned since the last call. `done` may submit, but not free. */
void detached_run_done(struct detached *detached);

#endif
