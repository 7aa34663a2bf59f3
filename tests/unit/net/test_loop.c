/* SPDX-License-Identifier: Apache-2.0 */
/* The real loop. */
#include "loop_cases.h"

#include <signal.h>

static void on_signal(int signal_number, void *arg)
{
    (void)arg;
    assert_int_equal(signal_number, SIGUSR1);
    note('S');
    loop_stop(trace.loop);
}

static void signals_come_on_the_loop(void **state)
{
    (void)state;
    start();
    loop_on_signal(trace.loop, SIGUSR1, on_signal, NULL);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_string_equal(trace.text, "");
    loop_run(trace.loop);
    assert_string_equal(trace.text, "S");
    stop();
}

static void on_busy(void *arg)
{
    (void)arg;
    uint64_t before = clock_mono_us();
    while (clock_mono_us() - before < 2000)
        ;
}

static void on_measured_turn(uint64_t busy_us, void *arg)
{
    *(uint64_t *)arg += busy_us;
}

static void the_time_of_callbacks_is_measured_and_waiting_is_not(void **state)
{
    (void)state;
    uint64_t busy_us = 0;
    start();
    loop_on_turn(trace.loop, on_measured_turn, &busy_us);
    struct timer *timer = timer_new(trace.loop, on_busy, NULL);
    timer_start(timer, 50);
    for (int i = 0; i < 100 && timer_is_running(timer); i++)
        loop_turn(trace.loop, 1000);
    assert_true(busy_us >= 2000);
    timer_free(&timer);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_CASES,
        cmocka_unit_test(signals_come_on_the_loop),
        cmocka_unit_test(the_time_of_callbacks_is_measured_and_waiting_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
