/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for work that blocks: fsync, hashing, writing, reading ahead. The loop submits work,
 * watches pool_descriptor() for reading and then calls pool_run_done(), which calls `done` of
 * finished work on the loop's thread. Threads are started on demand. Work with the same key (not 0)
 * runs one at a time in the order of submission; other work runs in parallel. The threads' nice
 * value is 5 above the loop's.
 *
 * tests/fakes/pool.c is a second implementation that runs the work inline, in pool_run_done().
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool;

/* Embedded in an object of the submitter; it must live until `done` is called. `run` is called on a
 * thread of the pool and may use only what the submitter leaves alone in the meantime. `done` is
 * called on the loop's thread. */
struct pool_work {
    void (*run)(struct pool_work *work);
    void (*done)(struct pool_work *work);
    uint64_t key;
    struct pool_work *next; /* private */
};

/* Uses at most `threads` threads. None is started yet. */
struct pool *pool_new(unsigned threads);
/* Waits until all submitted work has run, calls every `done`, and ends the threads. */
void pool_free(struct pool **pool);
/* On the loop's thread only; `done` may call it. */
void pool_submit(struct pool *pool, struct pool_work *work);
/* Readable when pool_run_done has something to do. */
int pool_descriptor(const struct pool *pool);
/* Calls `done` of the work that has finished. */
void pool_run_done(struct pool *pool);
/* The number of works that are submitted and whose `done` was not called yet. */
size_t pool_pending(const struct pool *pool);
/* A key that is unique in this process. */
uint64_t pool_new_key(void);

#endif
