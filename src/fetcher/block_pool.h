/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory for bytes that have come from upstreams and are not on disk yet: blocks of BLOCK_SIZE,
 * at most `fetch.memory` of them for all downloads together. Whoever finds none free waits in line:
 * a block that is given back goes to the first waiter. A few free blocks are kept; the others go
 * back to the system.
 *
 * A waiter must not hold a block that only it could give back after it got another one, or all may
 * wait for each other.
 */
#ifndef BLOCK_POOL_H
#define BLOCK_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define BLOCK_SIZE (256ul * 1024)

struct block_pool;

struct block_waiter { /* a member of whoever waits */
    struct list link; /* in no list while it does not wait */
    /* Called from inside another's block_pool_put or block_pool_resize; the block is the waiter's.
     */
    void (*on_block)(struct block_waiter *waiter, char *block);
};

/* `memory` is in bytes; one block can always be had. */
struct block_pool *block_pool_new(uint64_t memory);
/* All blocks were given back, and nobody waits. */
void block_pool_free(struct block_pool **pool);
/* Blocks over a smaller limit are not lent again when they come back. */
void block_pool_resize(struct block_pool *pool, uint64_t memory);
/* A block of BLOCK_SIZE bytes. NULL: none is free, and the waiter is in line from here on, at the
 * place that it has if it waits already. */
char *block_pool_get(struct block_pool *pool, struct block_waiter *waiter);
/* Give the block back and set *block to NULL; NULL is allowed. */
void block_pool_put(struct block_pool *pool, char **block);
/* Give the free blocks that are kept back to the system. */
void block_pool_trim(struct block_pool *pool);
/* How many blocks are lent. */
size_t block_pool_used(const struct block_pool *pool);

#endif
