/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <poll.h>

#include "base/pool.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(work_runs_inline_in_order_when_asked)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
