/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool without threads: work waits until pool_run_done(), which runs it inline in the order of
 * submission. What `done` submits waits for the next call; the descriptor says so. A test may hold
 * it, and run single works (fakes/pool.h).
 */
#include "fakes/pool.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/pool.h"

struct queue {
    struct pool_work *first;
    struct pool_work **end;
};

struct pool {
    struct queue waiting;
    struct queue ran; /* not delivered yet */
    int descriptor;
    size_t pending;
    bool is_held;
};

static void queue_clear(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static void queue_append(struct queue *queue, struct pool_work *work)
{
    work->next = NULL;
    *queue->end = work;
    queue->end = &work->next;
}

/* `at` points to the work: the queue's first, or the next of the one before. */
static struct pool_work *queue_remove(struct queue *queue, struct pool_work **at)
{
    struct pool_work *work = *at;

    *at = work->next;
    if (!*at)
        queue->end = at;
    return work;
}

static void tell(struct pool *pool)
{
    uint64_t one = 1;

    CHECK(write(pool->descriptor, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = NEW(struct pool);

    CHECK(threads > 0);
    queue_clear(&pool->waiting);
    queue_clear(&pool->ran);
    pool->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(pool->descriptor >= 0);
    return pool;
}

void pool_free(struct pool **pool)
{
    if (!*pool)
        return;
    (*pool)->is_held = false;
    while ((*pool)->pending)
        pool_run_done(*pool);
    fd_close(&(*pool)->descriptor);
    mem_free(*pool);
    *pool = NULL;
}

void pool_submit(struct pool *pool, struct pool_work *work)
{
    queue_append(&pool->waiting, work);
    pool->pending++;
    if (!pool->is_held)
        tell(pool);
}

int pool_descriptor(const struct pool *pool)
{
    return pool->descriptor;
}

static void drain_descriptor(const struct pool *pool)
{
    uint64_t told;

    CHECK(read(pool->descriptor, &told, sizeof(told)) > 0 || errno == EAGAIN);
}

void pool_run_done(struct pool *pool)
{
    struct pool_work *work;

    drain_descriptor(pool);
    if (pool->is_held)
        return;
    while (fake_pool_deliver(pool))
        ;
    work = pool->waiting.first;
    queue_clear(&pool->waiting);
    while (work) {
        struct pool_work *next = work->next;

        work->run(work);
        pool->pending--;
        work->done(work);
        work = next;
    }
}

void fake_pool_hold(struct pool *pool, bool is_held)
{
    pool->is_held = is_held;
    drain_descriptor(pool);
    if (!is_held && pool->pending)
        tell(pool);
}

/* Works of one key run one after the other. */
static bool is_first_of_key(const struct pool *pool, const struct pool_work *work)
{
    for (const struct pool_work *other = pool->waiting.first; other != work; other = other->next) {
        if (work->key && other->key == work->key)
            return false;
    }
    return true;
}

bool fake_pool_run(struct pool *pool, unsigned number)
{
    for (struct pool_work **at = &pool->waiting.first; *at; at = &(*at)->next) {
        if (!is_first_of_key(pool, *at) || number-- > 0)
            continue;
        struct pool_work *work = queue_remove(&pool->waiting, at);

        work->run(work);
        queue_append(&pool->ran, work);
        return true;
    }
    return false;
}

bool fake_pool_deliver(struct pool *pool)
{
    struct pool_work *work = pool->ran.first;

    if (!work)
        return false;
    queue_remove(&pool->ran, &pool->ran.first);
    pool->pending--;
    work->done(work);
    return true;
}

size_t pool_pending(const struct pool *pool)
{
    return pool->is_held ? 0 : pool->pending;
}

uint64_t pool_new_key(void)
{
    static uint64_t last;

    return ++last;
}
