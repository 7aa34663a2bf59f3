/* SPDX-License-Identifier: Apache-2.0 */
#include "follow_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB ((uint64_t)1024 * 1024)

static void limit_is_what_came_while_far_from_the_end(void **state)
{
    (void)state;
    struct follow_level level = {.size = 10 * MIB, .bytes = 3 * MIB};
    assert_int_equal(follow_limit(&level), 3 * MIB);
}

static void limit_holds_the_last_64_kib_back_until_verified(void **state)
{
    (void)state;
    struct follow_level level = {.size = 10 * MIB, .bytes = 10 * MIB};
    assert_int_equal(follow_limit(&level), 10 * MIB - 64 * 1024);
    level.is_verified = true;
    assert_int_equal(follow_limit(&level), 10 * MIB);
}

static void limit_of_a_blob_no_larger_than_the_tail_is_nothing(void **state)
{
    (void)state;
    struct follow_level level = {.size = 64 * 1024, .bytes = 64 * 1024};
    assert_int_equal(follow_limit(&level), 0);
    level.size = 0;
    level.bytes = 0;
    assert_int_equal(follow_limit(&level), 0);
}

static void limit_is_nothing_when_strict_or_of_unknown_size(void **state)
{
    (void)state;
    struct follow_level strict = {.size = 10 * MIB, .bytes = 9 * MIB, .is_strict = true};
    struct follow_level unknown = {.size = FOLLOW_SIZE_UNKNOWN, .bytes = 9 * MIB};
    assert_int_equal(follow_limit(&strict), 0);
    assert_int_equal(follow_limit(&unknown), 0);
}

static void limit_never_passes_what_an_upstream_sends_beyond_the_size(void **state)
{
    (void)state;
    struct follow_level level = {.size = 10 * MIB, .bytes = 11 * MIB};
    assert_int_equal(follow_limit(&level), 10 * MIB - 64 * 1024);
}

static void large_blobs_begin_at_once(void **state)
{
    (void)state;
    struct follow_level level = {.size = MIB + 1, .hold_max = MIB};
    assert_true(follow_may_begin(&level));
}

static void small_blobs_begin_when_verified_or_held_long(void **state)
{
    (void)state;
    struct follow_level level = {.size = MIB, .hold_max = MIB};
    assert_false(follow_may_begin(&level));
    level.is_held_long = true;
    assert_true(follow_may_begin(&level));
    level.is_held_long = false;
    level.is_verified = true;
    assert_true(follow_may_begin(&level));
}

static void strict_and_unknown_sizes_begin_only_when_verified(void **state)
{
    (void)state;
    struct follow_level strict = {.size = 9 * MIB, .is_strict = true, .is_held_long = true};
    struct follow_level unknown = {.size = FOLLOW_SIZE_UNKNOWN, .is_held_long = true};
    assert_false(follow_may_begin(&strict));
    assert_false(follow_may_begin(&unknown));
    strict.is_verified = true;
    assert_true(follow_may_begin(&strict));
}

static void unknown_sizes_are_held_up_to_16_mib(void **state)
{
    (void)state;
    struct follow_level level = {.size = FOLLOW_SIZE_UNKNOWN, .bytes = 16 * MIB};
    assert_false(follow_is_too_large(&level));
    level.bytes++;
    assert_true(follow_is_too_large(&level));
    level.size = 20 * MIB;
    assert_false(follow_is_too_large(&level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_is_what_came_while_far_from_the_end),
        cmocka_unit_test(limit_holds_the_last_64_kib_back_until_verified),
        cmocka_unit_test(limit_of_a_blob_no_larger_than_the_tail_is_nothing),
        cmocka_unit_test(limit_is_nothing_when_strict_or_of_unknown_size),
        cmocka_unit_test(limit_never_passes_what_an_upstream_sends_beyond_the_size),
        cmocka_unit_test(large_blobs_begin_at_once),
        cmocka_unit_test(small_blobs_begin_when_verified_or_held_long),
        cmocka_unit_test(strict_and_unknown_sizes_begin_only_when_verified),
        cmocka_unit_test(unknown_sizes_are_held_up_to_16_mib),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
