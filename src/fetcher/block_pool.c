/* SPDX-License-Identifier: Apache-2.0 */
/* See block_pool.h. */
#include "block_pool.h"

#include "base/alloc.h"
#include "base/check.h"

#define KEPT_MAX 4 /* a large download uses two at a time */

struct block_pool {
    size_t limit; /* in blocks */
    size_t used;
    char *kept[KEPT_MAX]; /* free ones; the last given back is the first lent */
    size_t kept_count;
    struct list waiters;
};

static char *lend_block(struct block_pool *pool)
{
    pool->used++;
    if (pool->kept_count > 0)
        return pool->kept[--pool->kept_count];
    return mem_alloc_pages(BLOCK_SIZE);
}

static void serve_waiters(struct block_pool *pool)
{
    while (pool->used < pool->limit && !list_is_empty(&pool->waiters)) {
        struct block_waiter *waiter = LIST_ITEM(pool->waiters.next, struct block_waiter, link);

        list_remove(&waiter->link);
        waiter->on_block(waiter, lend_block(pool));
    }
}

char *block_pool_get(struct block_pool *pool, struct block_waiter *waiter)
{
    if (pool->used < pool->limit)
        return lend_block(pool);
    if (list_is_empty(&waiter->link))
        list_append(&pool->waiters, &waiter->link);
    return NULL;
}

void block_pool_put(struct block_pool *pool, char **block)
{
    char *gone = TAKE(*block);

    if (!gone)
        return;
    CHECK(pool->used > 0);
    pool->used--;
    if (pool->kept_count < KEPT_MAX)
        pool->kept[pool->kept_count++] = gone;
    else
        mem_free_pages(gone, BLOCK_SIZE);
    serve_waiters(pool);
}

void block_pool_trim(struct block_pool *pool)
{
    while (pool->kept_count > 0)
        mem_free_pages(pool->kept[--pool->kept_count], BLOCK_SIZE);
}

size_t block_pool_used(const struct block_pool *pool)
{
    return pool->used;
}

void block_pool_resize(struct block_pool *pool, uint64_t memory)
{
    pool->limit = memory > BLOCK_SIZE ? (size_t)(memory / BLOCK_SIZE) : 1;

    serve_waiters(pool);
}

struct block_pool *block_pool_new(uint64_t memory)
{
    struct block_pool *pool = NEW(struct block_pool);

    list_init(&pool->waiters);
    block_pool_resize(pool, memory);
    return pool;
}

void block_pool_free(struct block_pool **pool)
{
    struct block_pool *gone = TAKE(*pool);

    if (!gone)
        return;
    CHECK(gone->used == 0 && list_is_empty(&gone->waiters));
    block_pool_trim(gone);
    mem_free(gone);
}
