/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu_count.h"

static void quotas_of_version_2_are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(cpu_quota_v2(SLICE_LITERAL("200000 100000\n")), 2);
    assert_int_equal(cpu_quota_v2(SLICE_LITERAL("150000 100000\n")), 2);
    assert_int_equal(cpu_quota_v2(SLICE_LITERAL("10000 100000\n")), 1);
    assert_int_equal(cpu_quota_v2(SLICE_LITERAL("max 100000\n")), 0);
}

static void quotas_of_version_1_are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(cpu_quota_v1(SLICE_LITERAL("250000\n"), SLICE_LITERAL("100000\n")), 3);
    assert_int_equal(cpu_quota_v1(SLICE_LITERAL("-1\n"), SLICE_LITERAL("100000\n")), 0);
}

static void nonsense_is_no_quota(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "\n", "5", "5 ", "a b", "0 100000", "100000 0", "18446744073709551615 1", "1 1 1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(cpu_quota_v2(slice_of(texts[i])), 0);
}

static void the_group_of_a_controller_is_found(void **state)
{
    (void)state;
    struct slice both = SLICE_LITERAL("12:memory:/a\n4:cpu,cpuacct:/docker/x\n0::/system.slice\n");
    assert_true(slice_is(cpu_group_path(both, "cpu"), "/docker/x"));
    assert_true(slice_is(cpu_group_path(both, ""), "/system.slice"));
    assert_int_equal(cpu_group_path(both, "cpuset").length, 0);
    assert_int_equal(cpu_group_path(SLICE_LITERAL("nonsense"), "cpu").length, 0);
}

static void there_is_always_one(void **state)
{
    (void)state;
    assert_in_range(cpu_count(), 1, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_of_version_2_are_rounded_up),
        cmocka_unit_test(quotas_of_version_1_are_rounded_up),
        cmocka_unit_test(nonsense_is_no_quota),
        cmocka_unit_test(the_group_of_a_controller_is_found),
        cmocka_unit_test(there_is_always_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
