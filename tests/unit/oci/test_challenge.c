/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate as upstreams send it, and as they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "oci/challenge.h"

static struct challenge parsed(const char *header)
{
    struct challenge challenge;
    struct error err;

    assert_int_equal(challenge_parse(slice_of(header), &challenge, &err), 0);
    return challenge;
}

static void expect_error(const char *header, enum error_kind kind)
{
    struct challenge challenge;
    struct error err;

    assert_int_equal(challenge_parse(slice_of(header), &challenge, &err), -(int)kind);
}

static void challenge_parse_reads_the_hubs_own(void **state)
{
    struct challenge c = parsed("Bearer realm=\"https://auth.docker.io/token\",service=\"registry."
                                "docker.io\",scope=\"repository:library/nginx:pull,push\"");

    (void)state;

    assert_int_equal(c.scheme, CHALLENGE_BEARER);
    assert_string_equal(c.realm, "https://auth.docker.io/token");
    assert_string_equal(c.service, "registry.docker.io");
}

static void challenge_parse_prefers_bearer_wherever_it_stands(void **state)
{
    struct challenge c =
        parsed("Basic realm=\"x\", Negotiate, NTLM YWJj==, bearer Realm = \"r\" , error=a");

    (void)state;

    assert_int_equal(c.scheme, CHALLENGE_BEARER);
    assert_string_equal(c.realm, "r");
    c = parsed("Bearer realm=\"first\", Bearer realm=\"second\"");
    assert_string_equal(c.realm, "first");
    c = parsed("Bearer error=\"invalid_token\", Basic realm=x, Bearer error=y");
    assert_int_equal(c.scheme, CHALLENGE_BASIC);
    c = parsed("Bearer, Bearer realm=\"r\"");
    assert_string_equal(c.realm, "r");
    c = parsed("Negotiate abc/+=, Basic realm=one, Basic realm=two");
    assert_int_equal(c.scheme, CHALLENGE_BASIC);
    assert_string_equal(c.realm, "one");
    c = parsed("Basic");
    assert_int_equal(c.scheme, CHALLENGE_BASIC);
}

static void challenge_parse_unescapes_quoted_strings(void **state)
{
    struct challenge c = parsed("Bearer realm=\"a\\\"b, c=\\\\d\",service=\"\"");

    (void)state;

    assert_string_equal(c.realm, "a\"b, c=\\d");
    assert_string_equal(c.service, "");
}

static void challenge_parse_refuses_malformed_headers(void **state)
{
    static const char *const bad[] = {
        "Bearer realm=\"x",
        "Bearer realm=\"x\\",
        "Bearer realm=\"x\" service=\"y\"",
        "realm=\"x\"",
        "=x",
        "Bearer \"x\"",
        "Bearer realm=\"a\nb\"",
        "Bearer realm=\"a\",realm=\"b\"",
        "Bearer a b",
        "Bearer(realm=x)",
    };

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_error(bad[i], ERR_INVALID);
}

static void challenge_parse_says_when_there_is_none_for_us(void **state)
{
    (void)state;

    expect_error("", ERR_UNSUPPORTED);
    expect_error(" , ,", ERR_UNSUPPORTED);
    expect_error("Negotiate", ERR_UNSUPPORTED);
    expect_error("Bearer", ERR_UNSUPPORTED);
    expect_error("Bearer realm=", ERR_UNSUPPORTED);
    expect_error("Bearer service=\"x\"", ERR_UNSUPPORTED);
    expect_error("Digest realm=\"x\", nonce=\"y\"", ERR_UNSUPPORTED);
}

static void challenge_parse_bounds_everything(void **state)
{
    char *header = mem_alloc(70000);

    (void)state;

    memset(header, 'a', 70000);
    memcpy(header, "Bearer realm=\"", 14);
    header[69998] = '"';
    header[69999] = '\0';
    expect_error(header, ERR_INVALID);
    header[14 + 1024] = '"';
    header[15 + 1024] = '\0';
    expect_error(header, ERR_INVALID); /* 1024 bytes have no room for the NUL */
    header[13 + 1024] = '"';
    header[14 + 1024] = '\0';
    assert_int_equal(strlen(parsed(header).realm), 1023);
    for (size_t i = 0; i < 60; i++)
        memcpy(header + i * 3, "a, ", 3);
    header[180] = '\0';
    expect_error(header, ERR_INVALID);
    mem_free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenge_parse_reads_the_hubs_own),
        cmocka_unit_test(challenge_parse_prefers_bearer_wherever_it_stands),
        cmocka_unit_test(challenge_parse_unescapes_quoted_strings),
        cmocka_unit_test(challenge_parse_refuses_malformed_headers),
        cmocka_unit_test(challenge_parse_says_when_there_is_none_for_us),
        cmocka_unit_test(challenge_parse_bounds_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
