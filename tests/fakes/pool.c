/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool without threads: work waits until pool_run_done(), which runs it inline in the order of
 * submission. What `done` submits waits for the next call; the descriptor says so.
 */
#include "base/pool.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"

struct pool {
    struct pool_work *first;
    struct pool_work **end;
    int descriptor;
    size_t pending;
};

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = NEW(struct pool);

    CHECK(threads > 0);
    pool->end = &pool->first;
    pool->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(pool->descriptor >= 0);
    return pool;
}

void pool_free(struct pool **pool)
{
    if (!*pool)
        return;
    while ((*pool)->pending)
        pool_run_done(*pool);
    fd_close(&(*pool)->descriptor);
    mem_free(*pool);
    *pool = NULL;
}

void pool_submit(struct pool *pool, struct pool_work *work)
{
    uint64_t one = 1;

    work->next = NULL;
    *pool->end = work;
    pool->end = &work->next;
    pool->pending++;
    CHECK(write(pool->descriptor, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

int pool_descriptor(const struct pool *pool)
{
    return pool->descriptor;
}

void pool_run_done(struct pool *pool)
{
    struct pool_work *work = pool->first;
    uint64_t told;

    CHECK(read(pool->descriptor, &told, sizeof(told)) > 0 || errno == EAGAIN);
    pool->first = NULL;
    pool->end = &pool->first;
    while (work) {
        struct pool_work *next = work->next;

        work->run(work);
        pool->pending--;
        work->done(work);
        work = next;
    }
}

size_t pool_pending(const struct pool *pool)
{
    return pool->pending;
}

uint64_t pool_new_key(void)
{
    static uint64_t last;

    return ++last;
}
