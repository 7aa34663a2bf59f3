/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>

#include "base/text.h"

struct expectation {
    const char *pattern;
    const char *text;
    bool is_match;
};

static const struct expectation expectations[] = {
    {"nginx", "nginx", true},
    {"nginx", "nginx2", false},
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "latest", true},
    {"*", "library/nginx", true}, /* a lone star is everything */
    {"**", "a/b/c", true},
    {"library/*", "library/nginx", true},
    {"library/*", "library/a/b", true}, /* everything below */
    {"library/*", "library", false},
    {"library/*", "libraryx/a", false},
    {"*/nginx", "library/nginx", true},
    {"*/nginx", "a/b/nginx", false},
    {"**/nginx", "a/b/nginx", true},
    {"v1.*", "v1.25", true},
    {"v1.*", "v2.25", false},
    {"team-*/app", "team-a/app", true},
    {"team-*/app", "team-a/b/app", false},
    {"team-*", "team-a", true},
    {"team-*", "team-a/b", false},
    {"a?c", "abc", true},
    {"a?c", "a/c", false},
    {"?", "", false},
    {"*-alpine", "3.19-alpine", true},
    {"*-alpine", "3.19-alpine-x", false},
    {"*a*b", "xxaxxaxb", true},
    {"*a*b", "a/ab", false},
    {"**a*b", "a/ab", true},
    {"**/a/*/b", "x/a/y/a/z/b", true},
    {"**/a/*/b", "x/a/y/z/b", false},
    {"*/*", "a/b", true},
    {"*/*", "a/b/c", true},
    {"*/*", "a", false},
};

static void patterns_match_as_people_expect(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        const struct expectation *expected = &expectations[i];

        if (text_matches(slice_of(expected->pattern), slice_of(expected->text)) !=
            expected->is_match)
            fail_msg("\"%s\" and \"%s\"", expected->pattern, expected->text);
    }
}

/* Exponential in a naive matcher; the test's time limit is the assertion. */
static void hostile_patterns_take_no_time(void **state)
{
    char text[2000];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_false(
        text_matches(slice_of("*a*a*a*a*a*a*a*a*a*a*a*a*b"), slice_from(text, sizeof(text))));
    assert_false(text_matches(slice_of("**a**a**a*a**a*a**a*a**a*a*a*b"), slice_from(text, 255)));
}

static unsigned distance(const char *a, const char *b)
{
    return text_distance(slice_of(a), slice_of(b));
}

static void distance_counts_single_edits_up_to_four(void **state)
{
    char text[100];

    (void)state;
    assert_int_equal(distance("listen", "listen"), 0);
    assert_int_equal(distance("listen", "listne"), 2);
    assert_int_equal(distance("upstream", "upsteam"), 1);
    assert_int_equal(distance("upstream", "upstreams"), 1);
    assert_int_equal(distance("cache", "catch"), 2);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("abc", ""), 3);
    assert_int_equal(distance("abcdefgh", "xyz"), 4);
    memset(text, 'a', sizeof(text));
    assert_int_equal(text_distance(slice_from(text, 100), slice_from(text, 99)), 4);
    assert_int_equal(text_distance(slice_from(text, 100), slice_from(text, 100)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_people_expect),
        cmocka_unit_test(hostile_patterns_take_no_time),
        cmocka_unit_test(distance_counts_single_edits_up_to_four),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
