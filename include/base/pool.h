/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for what blocks: fsync, hashing, writing, reading ahead. The loop submits work and is
 * told of its end on its own thread: watch pool_descriptor() for reading and call pool_run_done()
 * then. Threads start when they are needed. Work with the same key (not 0) runs in the order of its
 * submission, one at a time; other work in parallel. Threads are nicer than the loop's by 5.
 *
 * tests/fakes/pool.c is a second implementation that runs the work inline, in pool_run_done().
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool;

/* Embedded in, or owned by, what submits it; must live until `done` was called. `run` is called on
 * a pool thread and may touch only what the submitter leaves alone meanwhile; `done` is called on
 * the loop's thread. */
struct pool_work {
    void (*run)(struct pool_work *work);
    void (*done)(struct pool_work *work);
    uint64_t key;
    struct pool_work *next; /* the pool's */
};

/* At most so many threads; none is started yet. */
struct pool *pool_new(unsigned threads);
/* Waits until all submitted work has run, calls every `done`, ends the threads. */
void pool_free(struct pool **pool);
/* From the loop's thread only; also from inside `done`. */
void pool_submit(struct pool *pool, struct pool_work *work);
/* Readable when pool_run_done has something to do. */
int pool_descriptor(const struct pool *pool);
/* Calls `done` of what has run since the last call. */
void pool_run_done(struct pool *pool);
/* Submitted and not yet done. */
size_t pool_pending(const struct pool *pool);
/* A key nobody else has in this process. */
uint64_t pool_new_key(void);

#endif
