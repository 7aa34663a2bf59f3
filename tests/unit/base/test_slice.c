/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include "base/alloc.h"
#include "base/slice.h"

#define S(text) slice_of(text)

static void empty_slices_are_safe_everywhere(void **state)
{
    struct slice none = slice_of(NULL);
    AUTO_FREE char *copy = slice_dup(none);

    (void)state;
    assert_int_equal(none.length, 0);
    assert_true(slice_equal(none, S("")));
    assert_true(slice_is(none, ""));
    assert_true(slice_starts_with(none, ""));
    assert_false(slice_ends_with(none, "x"));
    assert_int_equal(slice_find(none, 'x'), -1);
    assert_int_equal(slice_find_last(none, 'x'), -1);
    assert_int_equal(slice_trim(none).length, 0);
    assert_int_equal(slice_skip(none, 0).length, 0);
    assert_string_equal(copy, "");
}

static void comparing_knows_case_and_length(void **state)
{
    (void)state;
    assert_true(slice_is(S("abc"), "abc"));
    assert_false(slice_is(S("abc"), "abcd"));
    assert_false(slice_is(slice_from("ab\0c", 4), "ab"));
    assert_true(slice_is_nocase(S("Content-TYPE"), "content-type"));
    assert_false(slice_is_nocase(S("[x]"), "{x}"));
    assert_true(slice_starts_with(S("sha256:x"), "sha256:"));
    assert_false(slice_starts_with(S("sha"), "sha256:"));
    assert_true(slice_ends_with(S("a/b"), "/b"));
}

static void finding_trimming_and_skipping(void **state)
{
    (void)state;
    assert_int_equal(slice_find(S("a/b/c"), '/'), 1);
    assert_int_equal(slice_find_last(S("a/b/c"), '/'), 3);
    assert_true(slice_is(slice_trim(S(" \t x y\t ")), "x y"));
    assert_int_equal(slice_trim(S(" \t ")).length, 0);
    assert_true(slice_is(slice_skip(S("abc"), 3), ""));
}

static void skip_too_far(void)
{
    (void)slice_skip(S("abc"), 4);
}

static void skipping_beyond_the_end_aborts(void **state)
{
    (void)state;
    assert_true(aborts(skip_too_far));
}

static void splitting_gives_every_part_once(void **state)
{
    struct slice rest = S("a,,b,");
    struct slice part;
    const char *expected[] = {"a", "", "b", ""};

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_true(slice_split(&rest, ',', &part));
        assert_true(slice_is(part, expected[i]));
    }
    assert_false(slice_split(&rest, ',', &part));
    rest = S("");
    assert_true(slice_split(&rest, ',', &part));
    assert_false(slice_split(&rest, ',', &part));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_slices_are_safe_everywhere),
        cmocka_unit_test(comparing_knows_case_and_length),
        cmocka_unit_test(finding_trimming_and_skipping),
        cmocka_unit_test(skipping_beyond_the_end_aborts),
        cmocka_unit_test(splitting_gives_every_part_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
