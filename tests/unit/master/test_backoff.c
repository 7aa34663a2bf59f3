/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backoff.h"

static void the_first_restart_is_at_once_then_delays_double(void **state)
{
    (void)state;
    static const uint64_t expected[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
    struct backoff backoff = {0};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(backoff_after_death(&backoff, 5, false), expected[i]);
}

static void what_was_ready_is_back_within_a_second(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    for (size_t i = 0; i < 20; i++)
        assert_in_range(backoff_after_death(&backoff, 5, true), 0, 500);
}

static void a_life_of_ten_seconds_is_not_slowed_down(void **state)
{
    (void)state;
    struct backoff backoff = {.next_ms = 1600};
    assert_int_equal(backoff_after_death(&backoff, 10000, false), 0);
    assert_int_equal(backoff_after_death(&backoff, 9999, false), 1600);
}

static void a_quiet_minute_forgives(void **state)
{
    (void)state;
    struct backoff backoff = {.next_ms = 5000};
    assert_int_equal(backoff_after_death(&backoff, 60000, true), 0);
    assert_int_equal(backoff_after_death(&backoff, 1, true), 0);
    assert_int_equal(backoff_after_death(&backoff, 1, true), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_restart_is_at_once_then_delays_double),
        cmocka_unit_test(what_was_ready_is_back_within_a_second),
        cmocka_unit_test(a_life_of_ten_seconds_is_not_slowed_down),
        cmocka_unit_test(a_quiet_minute_forgives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
