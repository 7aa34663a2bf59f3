/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <poll.h>

#include "base/pool.h"
#include "fakes/pool.h"

static struct pool *pool;
static char trace[16];
static size_t trace_length;

static void note(char c)
{
    assert_true(trace_length < sizeof(trace) - 1);
    trace[trace_length++] = c;
    trace[trace_length] = '\0';
}

static void run(struct pool_work *work)
{
    note((char)('a' + work->key));
}

static void done(struct pool_work *work)
{
    note((char)('A' + work->key));
}

static void submit_again(struct pool_work *work)
{
    done(work);
    work->done = done;
    pool_submit(pool, work);
}

static bool is_readable(void)
{
    struct pollfd wanted = {.fd = pool_descriptor(pool), .events = POLLIN};

    return poll(&wanted, 1, 0) == 1;
}

static void work_runs_inline_in_order_when_asked(void **state)
{
    struct pool_work works[2] = {{.run = run, .done = submit_again, .key = 0},
                                 {.run = run, .done = done, .key = 1}};

    (void)state;
    trace_length = 0;
    pool = pool_new(4);
    assert_false(is_readable());
    pool_submit(pool, &works[0]);
    pool_submit(pool, &works[1]);
    assert_true(is_readable());
    assert_int_equal(trace_length, 0);
    pool_run_done(pool);
    assert_string_equal(trace, "aAbB");
    assert_int_equal(pool_pending(pool), 1);
    assert_true(is_readable());
    pool_free(&pool);
    assert_string_equal(trace, "aAbBaA");
}

static void held_works_run_one_by_one_and_in_the_order_of_their_key(void **state)
{
    struct pool_work works[3] = {{.run = run, .done = done, .key = 1},
                                 {.run = run, .done = done, .key = 1},
                                 {.run = run, .done = done, .key = 2}};

    (void)state;
    trace_length = 0;
    pool = pool_new(4);
    fake_pool_hold(pool, true);
    for (unsigned i = 0; i < 3; i++)
        pool_submit(pool, &works[i]);
    assert_false(is_readable());
    pool_run_done(pool);
    assert_int_equal(trace_length, 0);
    assert_false(fake_pool_deliver(pool));
    assert_false(fake_pool_run(pool, 2)); /* the second waits for the first */
    assert_true(fake_pool_run(pool, 1));
    assert_true(fake_pool_run(pool, 0));
    assert_true(fake_pool_deliver(pool));
    assert_string_equal(trace, "cbC");
    fake_pool_hold(pool, false);
    assert_true(is_readable());
    pool_run_done(pool);
    assert_string_equal(trace, "cbCBbB");
    assert_int_equal(pool_pending(pool), 0);
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_inline_in_order_when_asked),
        cmocka_unit_test(held_works_run_one_by_one_and_in_the_order_of_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
