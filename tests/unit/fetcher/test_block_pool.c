/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks that downloads share: who waits gets the next one, in the order of asking. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "block_pool.h"

#define WAITERS 3

static struct asker {
    struct block_waiter waiter;
    char *block;
    unsigned place; /* in the order of being served */
} askers[WAITERS];
static unsigned served;

static void on_block(struct block_waiter *waiter, char *block)
{
    struct asker *asker = LIST_ITEM(waiter, struct asker, waiter);

    asker->block = block;
    asker->place = ++served;
}

static struct block_pool *make_pool(uint64_t memory)
{
    memset(askers, 0, sizeof(askers));
    served = 0;
    for (unsigned i = 0; i < WAITERS; i++) {
        list_init(&askers[i].waiter.link);
        askers[i].waiter.on_block = on_block;
    }
    return block_pool_new(memory);
}

static void blocks_over_the_limit_are_waited_for_in_order(void **state)
{
    (void)state;
    struct block_pool *pool = make_pool(2 * BLOCK_SIZE);
    char *first = block_pool_get(pool, &askers[0].waiter);
    char *second = block_pool_get(pool, &askers[0].waiter);
    assert_non_null(first);
    assert_non_null(second);
    memset(first, 1, BLOCK_SIZE);
    assert_null(block_pool_get(pool, &askers[1].waiter));
    assert_null(block_pool_get(pool, &askers[2].waiter));
    assert_null(block_pool_get(pool, &askers[1].waiter)); /* keeps its place */
    block_pool_put(pool, &first);
    assert_null(first);
    assert_int_equal(askers[1].place, 1);
    assert_null(askers[2].block);
    block_pool_put(pool, &second);
    assert_int_equal(askers[2].place, 2);
    assert_int_equal(block_pool_used(pool), 2);
    block_pool_put(pool, &askers[1].block);
    block_pool_put(pool, &askers[2].block);
    assert_int_equal(block_pool_used(pool), 0);
    block_pool_free(&pool);
}

static void who_no_longer_waits_gets_none(void **state)
{
    (void)state;
    struct block_pool *pool = make_pool(BLOCK_SIZE);
    char *block = block_pool_get(pool, &askers[0].waiter);
    assert_null(block_pool_get(pool, &askers[1].waiter));
    assert_null(block_pool_get(pool, &askers[2].waiter));
    list_remove(&askers[1].waiter.link);
    block_pool_put(pool, &block);
    assert_null(askers[1].block);
    assert_non_null(askers[2].block);
    block_pool_put(pool, &askers[2].block);
    block_pool_free(&pool);
}

static void limit_may_change(void **state)
{
    (void)state;
    struct block_pool *pool = make_pool(0); /* one block at least */
    char *block = block_pool_get(pool, &askers[0].waiter);
    assert_null(block_pool_get(pool, &askers[1].waiter));
    assert_null(block_pool_get(pool, &askers[2].waiter));
    block_pool_resize(pool, 2 * BLOCK_SIZE);
    assert_non_null(askers[1].block);
    block_pool_resize(pool, BLOCK_SIZE);
    block_pool_put(pool, &block); /* the one that is left is the whole limit */
    assert_null(askers[2].block);
    block_pool_put(pool, &askers[1].block);
    assert_non_null(askers[2].block);
    block_pool_put(pool, &askers[2].block);
    block_pool_free(&pool);
}

static void more_blocks_than_are_kept_go_back(void **state)
{
    (void)state;
    struct block_pool *pool = make_pool(16 * BLOCK_SIZE);
    char *blocks[16];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 16; i++)
            blocks[i] = block_pool_get(pool, &askers[0].waiter);
        for (unsigned i = 0; i < 16; i++)
            block_pool_put(pool, &blocks[i]);
    }
    assert_int_equal(block_pool_used(pool), 0);
    block_pool_free(&pool);
}

static void kept_blocks_go_back_when_all_is_quiet(void **state)
{
    (void)state;
    struct block_pool *pool = make_pool(2 * BLOCK_SIZE);
    char *block = block_pool_get(pool, &askers[0].waiter);
    memset(block, 1, BLOCK_SIZE);
    block_pool_put(pool, &block);
    block = block_pool_get(pool, &askers[0].waiter);
    assert_int_equal(block[0], 1); /* it was kept */
    block_pool_put(pool, &block);
    block_pool_trim(pool);
    block = block_pool_get(pool, &askers[0].waiter);
    assert_int_equal(block[0], 0); /* pages that are new from the system */
    block_pool_put(pool, &block);
    block_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_over_the_limit_are_waited_for_in_order),
        cmocka_unit_test(who_no_longer_waits_gets_none),
        cmocka_unit_test(limit_may_change),
        cmocka_unit_test(more_blocks_than_are_kept_go_back),
        cmocka_unit_test(kept_blocks_go_back_when_all_is_quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
