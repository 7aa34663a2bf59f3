/* SPDX-License-Identifier: Apache-2.0 */
/* What the real loop and the fake promise alike: one list of tests, built twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/pool.h"
#include "net/loop.h"

struct trace {
    struct loop *loop;
    char text[64];
    struct watch *watch;
    struct timer *timer;
    int fd;
    unsigned turns;
};

static struct trace trace;

static void note(char what)
{
    trace.text[strlen(trace.text)] = what;
}

static void start(void)
{
    trace = (struct trace){.loop = loop_new(), .fd = -1};
}

static void stop(void)
{
    loop_free(&trace.loop);
}

static void on_a(void *arg)
{
    (void)arg;
    note('a');
}

static void on_b(void *arg)
{
    (void)arg;
    note('b');
}

static void on_again(void *arg)
{
    note('d');
    loop_defer(trace.loop, on_b, arg);
}

static void on_cancel(void *arg)
{
    loop_cancel_deferred(trace.loop, arg);
}

static void on_stop(void *arg)
{
    (void)arg;
    note('s');
    loop_stop(trace.loop);
}

static void deferred_calls_run_in_order_after_the_turn(void **state)
{
    (void)state;
    start();
    loop_defer(trace.loop, on_a, NULL);
    loop_defer(trace.loop, on_b, NULL);
    assert_string_equal(trace.text, "");
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "ab");
    stop();
}

static void a_call_deferred_by_a_deferred_one_runs_in_the_next_turn(void **state)
{
    (void)state;
    start();
    loop_defer(trace.loop, on_again, NULL);
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "d");
    loop_turn(trace.loop, 60 * 1000);
    assert_string_equal(trace.text, "db");
    stop();
}

static void cancelled_calls_do_not_run(void **state)
{
    (void)state;
    int one;
    int other;
    start();
    loop_defer(trace.loop, on_a, &one);
    loop_defer(trace.loop, on_b, &other);
    loop_cancel_deferred(trace.loop, &one);
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "b");
    loop_defer(trace.loop, on_cancel, &one); /* also by a call of the same turn */
    loop_defer(trace.loop, on_a, &one);
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "b");
    stop();
}

static void what_is_deferred_runs_at_the_latest_when_the_loop_is_freed(void **state)
{
    (void)state;
    start();
    loop_defer(trace.loop, on_again, NULL);
    stop();
    assert_string_equal(trace.text, "db");
}

static void on_watch(unsigned ready, void *arg)
{
    (void)arg;
    if (ready & WATCH_READ)
        note('r');
    if (ready & WATCH_WRITE)
        note('w');
}

static void watches_tell_what_is_ready_as_long_as_it_is(void **state)
{
    (void)state;
    int pair[2];
    start();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct watch *watch = watch_new(trace.loop, pair[0], on_watch, NULL);
    watch_set(watch, WATCH_WRITE);
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "w");
    watch_set(watch, WATCH_READ);
    assert_int_equal(write(pair[1], "x", 1), 1);
    loop_turn(trace.loop, 1000);
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "wrr");
    watch_set(watch, WATCH_READ | WATCH_WRITE);
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "wrrrw");
    watch_set(watch, WATCH_NONE);
    loop_turn(trace.loop, 1);
    assert_string_equal(trace.text, "wrrrw");
    watch_set(watch, WATCH_READ);
    watch_free(&watch);
    assert_null(watch);
    loop_turn(trace.loop, 1);
    assert_string_equal(trace.text, "wrrrw");
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    stop();
}

static void on_free_other(unsigned ready, void *arg)
{
    struct watch **other = arg;

    (void)ready;
    note('f');
    watch_free(other);
}

static void a_ready_watch_may_be_freed_by_another(void **state)
{
    (void)state;
    int pair[2];
    struct watch *watches[2];
    start();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    for (int i = 0; i < 2; i++) {
        watches[i] = watch_new(trace.loop, pair[i], on_free_other, &watches[1 - i]);
        watch_set(watches[i], WATCH_WRITE);
    }
    loop_turn(trace.loop, 1000);
    assert_string_equal(trace.text, "f");
    watch_free(&watches[0]);
    watch_free(&watches[1]);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    stop();
}

static void timers_run_once_and_not_early(void **state)
{
    (void)state;
    start();
    struct timer *timer = timer_new(trace.loop, on_stop, NULL);
    uint64_t before = clock_mono().ms;
    assert_false(timer_is_running(timer));
    timer_start(timer, 10);
    assert_true(timer_is_running(timer));
    loop_run(trace.loop);
    assert_true(clock_mono().ms - before >= 10);
    assert_false(timer_is_running(timer));
    loop_turn(trace.loop, 1);
    assert_string_equal(trace.text, "s");
    timer_free(&timer);
    stop();
}

static void a_timer_started_again_is_moved(void **state)
{
    (void)state;
    start();
    struct timer *moved = timer_new(trace.loop, on_a, NULL);
    struct timer *end = timer_new(trace.loop, on_stop, NULL);
    timer_start(moved, 1);
    timer_start(end, 10);
    timer_start(moved, 60 * 1000);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "s");
    timer_stop(moved);
    timer_stop(moved);
    timer_free(&moved);
    timer_free(&end);
    stop();
}

static void timers_run_in_the_order_of_their_time(void **state)
{
    (void)state;
    start();
    struct timer *a = timer_new(trace.loop, on_a, NULL);
    struct timer *b = timer_new(trace.loop, on_b, NULL);
    struct timer *end = timer_new(trace.loop, on_stop, NULL);
    timer_start(end, 40);
    timer_start(a, 20);
    timer_start(b, 1);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "bas");
    timer_free(&a);
    timer_free(&b);
    timer_free(&end);
    stop();
}

static void on_turn(uint64_t busy_us, void *arg)
{
    (void)busy_us;
    (void)arg;
    trace.turns++;
}

static void turns_that_did_something_are_reported(void **state)
{
    (void)state;
    start();
    loop_on_turn(trace.loop, on_turn, NULL);
    loop_defer(trace.loop, on_a, NULL);
    loop_turn(trace.loop, 1000);
    assert_int_equal(trace.turns, 1);
    stop();
}

struct test_work {
    struct pool_work work;
    bool is_run;
};

static void run_work(struct pool_work *work)
{
    ((struct test_work *)(void *)work)->is_run = true;
}

static void work_done(struct pool_work *work)
{
    if (((struct test_work *)(void *)work)->is_run)
        on_stop(NULL);
}

static void the_pools_work_ends_on_the_loop(void **state)
{
    (void)state;
    start();
    struct pool *pool = pool_new(1);
    loop_add_pool(trace.loop, pool);
    struct test_work work = {.work = {.run = run_work, .done = work_done}};
    pool_submit(pool, &work.work);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "s");
    pool_free(&pool);
    stop();
}

#define LOOP_CASES                                                                                 \
    cmocka_unit_test(deferred_calls_run_in_order_after_the_turn),                                  \
        cmocka_unit_test(a_call_deferred_by_a_deferred_one_runs_in_the_next_turn),                 \
        cmocka_unit_test(cancelled_calls_do_not_run),                                              \
        cmocka_unit_test(what_is_deferred_runs_at_the_latest_when_the_loop_is_freed),              \
        cmocka_unit_test(watches_tell_what_is_ready_as_long_as_it_is),                             \
        cmocka_unit_test(a_ready_watch_may_be_freed_by_another),                                   \
        cmocka_unit_test(timers_run_once_and_not_early),                                           \
        cmocka_unit_test(a_timer_started_again_is_moved),                                          \
        cmocka_unit_test(timers_run_in_the_order_of_their_time),                                   \
        cmocka_unit_test(turns_that_did_something_are_reported),                                   \
        cmocka_unit_test(the_pools_work_ends_on_the_loop)
