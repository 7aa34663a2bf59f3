/* SPDX-License-Identifier: Apache-2.0 */
/* The fake loop keeps the promises of the real one, and time is free. */
#include "loop_cases.h"

#include <signal.h>

#include "fakes/loop.h"

static int freeze(void **state)
{
    (void)state;
    clock_freeze((struct monotime){1}, (struct walltime){1});
    return 0;
}

static void a_year_passes_at_once(void **state)
{
    (void)state;
    const uint64_t year_ms = (uint64_t)365 * 24 * 3600 * 1000;
    start();
    struct timer *timer = timer_new(trace.loop, on_stop, NULL);
    uint64_t before = clock_mono().ms;
    timer_start(timer, year_ms);
    loop_run(trace.loop);
    assert_int_equal(clock_mono().ms - before, year_ms);
    timer_free(&timer);
    stop();
}

static void a_held_clock_does_not_pass_its_hold(void **state)
{
    (void)state;
    start();
    struct timer *timer = timer_new(trace.loop, on_a, NULL);
    fake_loop_hold_clock(trace.loop, 99);
    timer_start(timer, 100);
    loop_turn(trace.loop, 0);
    assert_string_equal(trace.text, "");
    fake_loop_hold_clock(trace.loop, 100);
    loop_turn(trace.loop, 0);
    assert_string_equal(trace.text, "a");
    timer_free(&timer);
    stop();
}

static void on_signal(int signal_number, void *arg)
{
    (void)arg;
    assert_int_equal(signal_number, SIGTERM);
    note('S');
}

static void signals_come_when_the_test_says_so(void **state)
{
    (void)state;
    start();
    loop_on_signal(trace.loop, SIGTERM, on_signal, NULL);
    fake_loop_signal(trace.loop, SIGTERM);
    assert_string_equal(trace.text, "S");
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_CASES,
        cmocka_unit_test(a_year_passes_at_once),
        cmocka_unit_test(a_held_clock_does_not_pass_its_hold),
        cmocka_unit_test(signals_come_when_the_test_says_so),
    };

    return cmocka_run_group_tests(tests, freeze, NULL);
}
