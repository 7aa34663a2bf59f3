/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include "base/clock.h"

static void running_clocks_do_not_go_back(void **state)
{
    struct monotime mono = clock_mono();
    uint64_t us = clock_mono_us();

    (void)state;
    assert_true(clock_mono().ms >= mono.ms);
    assert_true(clock_mono_us() >= us);
    assert_true(clock_wall().ms > 1577836800000); /* 2020 */
}

static void frozen_clocks_move_by_hand_only(void **state)
{
    (void)state;
    clock_freeze((struct monotime){1000}, (struct walltime){5000});
    assert_int_equal(clock_mono().ms, 1000);
    assert_int_equal(clock_wall().ms, 5000);
    clock_advance(50);
    assert_int_equal(clock_mono().ms, 1050);
    assert_int_equal(clock_mono_us(), 1050000);
    assert_int_equal(clock_wall().ms, 5050);
    clock_thaw();
    assert_true(clock_wall().ms > 1577836800000);
}

static void durations_never_wrap(void **state)
{
    struct monotime early = {10};
    struct monotime late = {30};

    (void)state;
    assert_int_equal(monotime_since(late, early), 20);
    assert_int_equal(monotime_since(early, late), 0);
    assert_int_equal(monotime_add(early, 5).ms, 15);
    assert_true(monotime_add(early, UINT64_MAX).ms == UINT64_MAX);
}

static void times_are_printed(void **state)
{
    char out[32];

    (void)state;
    walltime_print((struct walltime){1789726272345}, out);
    assert_string_equal(out, "2026-09-18T10:11:12.345Z");
    walltime_print((struct walltime){0}, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    walltime_print((struct walltime){1709164800000}, out);
    assert_string_equal(out, "2024-02-29T00:00:00.000Z");
    walltime_print_http((struct walltime){784111777000}, out);
    assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
}

static void times_too_late_to_print_are_the_last_one(void **state)
{
    char out[32];

    (void)state;
    walltime_print((struct walltime){UINT64_MAX}, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
    walltime_print_http((struct walltime){UINT64_MAX}, out);
    assert_string_equal(out, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void dates_are_read_as_they_are_printed(void **state)
{
    static const char *const bad[] = {"",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Mon, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994",
                                      "Sun, 06 Nov 1994 25:49:37 GMT",
                                      "Thu, 31 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Xov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 0001 08:49:37 GMT",
                                      "Sun, \xff\xff Nov \xff\xff\xff\xff 08:49:37 GMT",
                                      "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"};
    struct walltime time = {7};

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (walltime_parse_http(slice_of(bad[i]), &time))
            fail_msg("%s is no date", bad[i]);
    }
    assert_int_equal(time.ms, 7);
    assert_true(walltime_parse_http(SLICE_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT"), &time));
    assert_int_equal(time.ms, 784111777000);
    assert_true(walltime_parse_http(SLICE_LITERAL("Thu, 01 Jan 1970 00:00:00 GMT"), &time));
    assert_int_equal(time.ms, 0);
    assert_true(walltime_parse_http(SLICE_LITERAL("Thu, 29 Feb 2024 23:59:59 GMT"), &time));
    assert_int_equal(time.ms, 1709251199000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_clocks_do_not_go_back),
        cmocka_unit_test(frozen_clocks_move_by_hand_only),
        cmocka_unit_test(durations_never_wrap),
        cmocka_unit_test(times_are_printed),
        cmocka_unit_test(times_too_late_to_print_are_the_last_one),
        cmocka_unit_test(dates_are_read_as_they_are_printed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
