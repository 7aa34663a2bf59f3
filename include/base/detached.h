/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for calls that may block without limit and cannot be interrupted, such as getaddrinfo().
 * Freeing a base/pool waits for its work; freeing this never waits. A call owns its memory: if the
 * object is gone when the call returns, its thread frees it.
 *
 * Threads are started on demand, up to a limit, and end when no call is waiting. The loop watches
 * detached_descriptor() for reading and then calls detached_run_done().
 *
 * tests/fakes/detached.c is a second implementation without threads: the test decides when a call
 * returns.
 */
#ifndef BASE_DETACHED_H
#define BASE_DETACHED_H

#include <stddef.h>

#include "base/list.h"

struct detached;
struct error;

/* Embedded in an object of the caller. While the call is submitted, `run` may use nothing that
 * other code could free. After `done` the object is the caller's again. */
struct detached_call {
    /* Runs on a thread of its own; may block for ever. */
    void (*run)(struct detached_call *call);
    /* Called on the loop's thread, by detached_run_done. */
    void (*done)(struct detached_call *call);
    /* Called instead of `done` when the threads' owner is gone: frees the object. On any thread. */
    void (*drop)(struct detached_call *call);
    struct list link; /* private */
};

/* Runs at most `threads` calls at a time. No thread is started yet. */
struct detached *detached_new(unsigned threads);
/* Never waits. Calls that are waiting or finished are dropped now, those that are running when they
 * return. */
void detached_free(struct detached **detached);
/* On the loop's thread only. The call waits while all threads are busy. ERR_BUSY when no thread is
 * running and none can be started; the call is still the caller's then. */
int detached_submit(struct detached *detached, struct detached_call *call, struct error *err);
/* Readable when detached_run_done has something to do. */
int detached_descriptor(const struct detached *detached);
/* Calls `done` for all calls that have returned. `done` may submit, but must not free `detached`.
 */
void detached_run_done(struct detached *detached);

#endif
