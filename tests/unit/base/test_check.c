/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include "base/check.h"

static void fail_a_check(void)
{
    CHECK(1 + 1 == 3);
}

static void pass_a_check(void)
{
    CHECK(1 + 1 == 2);
}

static void reach_the_unreachable(void)
{
    UNREACHABLE();
}

static void check_aborts_when_false_only(void **state)
{
    (void)state;
    assert_true(aborts(fail_a_check));
    assert_false(aborts(pass_a_check));
    assert_true(aborts(reach_the_unreachable));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(check_aborts_when_false_only)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
