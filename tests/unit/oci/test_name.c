/* SPDX-License-Identifier: Apache-2.0 */
/* The grammars of names, tags and registries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "oci/name.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void name_is_valid_takes_what_the_specification_allows(void **state)
{
    static const char *const good[] = {
        "a",           "nginx",     "library/nginx", "a--b",  "a__b",
        "a.b-c_d",     "a-----b/c", "0/1/2",         "blobs", "blobs/uploads",
        "x/manifests", "tags/list", "a/b/c/d/e",     "con",   "nul",
    };

    (void)state;

    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(name_is_valid(slice_of(good[i])));
}

static void name_is_valid_refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",     "/",      "a/",   "/a",   "a//b",     "-a",      "a-",   ".a",    "a.",
        "a..b", "a___b",  "a._b", "a.-b", "Foo",      "foo/Bar", "a b",  "a%20b", "_catalog",
        "..",   "a/../b", "a:b",  "a\\b", "\xc3\xa4", "a\nb",    "a/_b", "a_/b",  "a@b",
    };

    (void)state;

    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(name_is_valid(slice_of(bad[i])));
    assert_false(name_is_valid(slice_from("a\0b", 3)));
}

static void name_is_valid_counts_to_255(void **state)
{
    char text[NAME_MAX_LENGTH + 1];

    (void)state;

    memset(text, 'a', sizeof(text));
    assert_true(name_is_valid(slice_from(text, NAME_MAX_LENGTH)));
    assert_false(name_is_valid(slice_from(text, NAME_MAX_LENGTH + 1)));
    for (size_t i = 1; i < sizeof(text); i += 2)
        text[i] = '/';
    assert_true(name_is_valid(slice_from(text, NAME_MAX_LENGTH))); /* 128 components */
}

static void tag_is_valid_follows_its_grammar(void **state)
{
    static const char *const good[] = {"latest", "_x", "A.b-C", "1", "sha256-0123", "v1.0_rc"};
    static const char *const bad[] = {"", ".x", "-x", "a/b", "a:b", "a b", "a\n", "\xc3\xa4", "a@"};
    char text[TAG_MAX_LENGTH + 1];

    (void)state;

    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(tag_is_valid(slice_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(tag_is_valid(slice_of(bad[i])));
    memset(text, 't', sizeof(text));
    assert_true(tag_is_valid(slice_from(text, TAG_MAX_LENGTH)));
    assert_false(tag_is_valid(slice_from(text, TAG_MAX_LENGTH + 1)));
    assert_false(tag_is_valid(slice_from("a\0b", 3)));
}

static void registry_is_valid_takes_hosts_ports_and_bracketed_addresses(void **state)
{
    static const char *const good[] = {
        "docker.io",      "localhost",           "localhost:5000",
        "10.0.0.1:32000", "a-b.example",         "[::1]",
        "[::1]:5000",     "[2001:db8::1]:65535", "x",
    };
    static const char *const bad[] = {
        "",         "Docker.io", "a@b",           "a/b",  "a..b", ".a",
        "a.",       "-a",        "a-.b",          "a:",   "a:0",  "a:65536",
        "a:012",    "a:5000x",   "a:1:2",         "[::1", "[]",   "[::1]x",
        "[::1]:",   "[::G]",     "[ABCD::1]",     "::1",  "a b",  "a\r\nb",
        "http://a", "a_b",       "[127.0.0.1]:1",
    };
    char text[REGISTRY_MAX_LENGTH + 1];

    (void)state;

    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(registry_is_valid(slice_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(registry_is_valid(slice_of(bad[i])));
    memset(text, 'a', sizeof(text));
    for (size_t i = 60; i < sizeof(text); i += 60)
        text[i] = '.';
    assert_true(registry_is_valid(slice_from(text, REGISTRY_MAX_LENGTH)));
    assert_false(registry_is_valid(slice_from(text, REGISTRY_MAX_LENGTH + 1)));
}

static void registry_canonical_knows_the_hub_by_all_its_names(void **state)
{
    (void)state;

    assert_true(slice_is(registry_canonical(slice_of("index.docker.io")), "docker.io"));
    assert_true(slice_is(registry_canonical(slice_of("registry-1.docker.io")), "docker.io"));
    assert_true(slice_is(registry_canonical(slice_of("docker.io")), "docker.io"));
    assert_true(slice_is(registry_canonical(slice_of("ghcr.io")), "ghcr.io"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_valid_takes_what_the_specification_allows),
        cmocka_unit_test(name_is_valid_refuses_everything_else),
        cmocka_unit_test(name_is_valid_counts_to_255),
        cmocka_unit_test(tag_is_valid_follows_its_grammar),
        cmocka_unit_test(registry_is_valid_takes_hosts_ports_and_bracketed_addresses),
        cmocka_unit_test(registry_canonical_knows_the_hub_by_all_its_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
