/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on threads that nobody waits for. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/detached.h"
#include "base/error.h"

/* What happened, in all tests since the last reset; any thread adds to it. */
static struct {
    atomic_int running;
    atomic_int ran;
    atomic_int done;
    atomic_int dropped;
    int gate[2]; /* a pipe: a call returns when it has read a byte */
} seen;

static int setup(void **state)
{
    (void)state;
    seen.running = 0;
    seen.ran = 0;
    seen.done = 0;
    seen.dropped = 0;
    return pipe(seen.gate);
}

static int teardown(void **state)
{
    (void)state;
    close(seen.gate[0]);
    close(seen.gate[1]);
    return 0;
}

static void wait_for(atomic_int *number, int wanted)
{
    while (atomic_load(number) < wanted)
        sched_yield();
}

static void open_gate(unsigned calls)
{
    for (unsigned i = 0; i < calls; i++)
        assert_int_equal(write(seen.gate[1], "x", 1), 1);
}

static void run_to_gate(struct detached_call *call)
{
    char byte;

    (void)call;
    atomic_fetch_add(&seen.running, 1);
    while (read(seen.gate[0], &byte, 1) != 1)
        continue;
    atomic_fetch_add(&seen.ran, 1);
}

static void on_call_done(struct detached_call *call)
{
    atomic_fetch_add(&seen.done, 1);
    mem_free(call);
}

static void drop_call(struct detached_call *call)
{
    mem_free(call);
    atomic_fetch_add(&seen.dropped, 1);
}

static void submit(struct detached *detached)
{
    struct detached_call *call = NEW(struct detached_call);
    struct error err;

    call->run = run_to_gate;
    call->done = on_call_done;
    call->drop = drop_call;
    assert_int_equal(detached_submit(detached, call, &err), 0);
}

static void run_until_done(struct detached *detached, int wanted)
{
    while (seen.done < wanted) {
        struct pollfd ready = {.fd = detached_descriptor(detached), .events = POLLIN};

        assert_int_equal(poll(&ready, 1, 10000), 1);
        detached_run_done(detached);
    }
}

static void calls_run_and_are_done_on_the_loop(void **state)
{
    struct detached *detached = detached_new(4);

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        submit(detached);
    wait_for(&seen.running, 4);
    assert_int_equal(seen.done, 0);
    open_gate(4);
    run_until_done(detached, 4);
    detached_free(&detached);
    assert_null(detached);
    assert_int_equal(seen.dropped, 0);
}

static void no_more_calls_run_than_there_are_threads(void **state)
{
    struct detached *detached = detached_new(2);

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        submit(detached);
    wait_for(&seen.running, 2);
    open_gate(1);
    wait_for(&seen.running, 3);
    assert_true(seen.running - seen.ran <= 2);
    open_gate(4);
    run_until_done(detached, 5);
    detached_free(&detached);
}

static void threads_are_started_again_after_a_pause(void **state)
{
    struct detached *detached = detached_new(1);

    (void)state;
    for (int round = 1; round <= 3; round++) {
        submit(detached);
        open_gate(1);
        run_until_done(detached, round);
    }
    detached_free(&detached);
}

static void free_does_not_wait_and_drops_everything(void **state)
{
    struct detached *detached = detached_new(2);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        submit(detached); /* two run, one waits */
    wait_for(&seen.running, 2);
    open_gate(1);
    wait_for(&seen.running, 3); /* one has returned, two run */
    detached_free(&detached);
    assert_int_equal(seen.ran, 1);
    assert_int_equal(seen.done, 0);
    open_gate(2);
    wait_for(&seen.dropped, 3);
}

static void free_drops_what_has_not_run(void **state)
{
    struct detached *detached = detached_new(1);

    (void)state;
    submit(detached);
    submit(detached);
    wait_for(&seen.running, 1);
    detached_free(&detached);
    assert_int_equal(seen.dropped, 1);
    open_gate(1);
    wait_for(&seen.dropped, 2);
    assert_int_equal(seen.running, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(calls_run_and_are_done_on_the_loop),
        TEST(no_more_calls_run_than_there_are_threads),
        TEST(threads_are_started_again_after_a_pause),
        TEST(free_does_not_wait_and_drops_everything),
        TEST(free_drops_what_has_not_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
