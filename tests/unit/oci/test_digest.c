/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: the one right form, every wrong one, and the binary form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "oci/digest.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define EMPTY "sha256:" HEX64

static void digest_parse_reads_back_what_it_prints(void **state)
{
    struct error err;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];

    (void)state;

    assert_int_equal(digest_parse(slice_of(EMPTY), &digest, &err), 0);
    assert_int_equal(digest.algorithm, HASH_SHA256);
    assert_string_equal(digest_print(&digest, text), EMPTY);
    assert_int_equal(digest_parse(slice_of("sha512:" HEX64 HEX64), &digest, &err), 0);
    assert_string_equal(digest_print(&digest, text), "sha512:" HEX64 HEX64);
}

static void digest_parse_rejects_every_malformed_form(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "sha256",
        "sha256:",
        EMPTY "0",
        EMPTY " ",
        "sha256:e3b0",
        "sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:../../../../../../../../../../../../../../../../../../../../etc/pa",
        "sha512:" HEX64,
        " " EMPTY,
    };

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err;
        struct digest digest;

        assert_true(digest_parse(slice_of(bad[i]), &digest, &err) < 0);
    }
}

static void digest_parse_tells_unknown_algorithms_apart(void **state)
{
    struct error err;
    struct digest digest;

    (void)state;

    assert_int_equal(digest_parse(slice_of("sha384:" HEX64), &digest, &err), -ERR_UNSUPPORTED);
    assert_int_equal(digest_parse(slice_of("SHA256:" HEX64), &digest, &err), -ERR_UNSUPPORTED);
    assert_int_equal(digest_parse(slice_of("sha256:"), &digest, &err), -ERR_INVALID);
}

static void digest_parse_leaves_its_output_alone_on_failure(void **state)
{
    struct error err;
    struct digest digest;
    struct digest before;

    (void)state;

    memset(&digest, 0x5a, sizeof(digest));
    before = digest;
    assert_true(digest_parse(slice_of("sha256:e3"), &digest, &err) < 0);
    assert_memory_equal(&digest, &before, sizeof(digest));
}

static void digest_of_nothing_is_the_known_one(void **state)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];

    (void)state;

    digest_of(HASH_SHA256, slice_of(""), &digest);
    assert_string_equal(digest_print(&digest, text), EMPTY);
}

static void digest_decode_reads_a_row_of_digests(void **state)
{
    uint8_t bytes[2 * DIGEST_BINARY_MAX];
    struct digest a;
    struct digest b;
    struct digest read;

    (void)state;

    digest_of(HASH_SHA256, slice_of("a"), &a);
    digest_of(HASH_SHA512, slice_of("b"), &b);
    size_t length = digest_encode(&a, bytes);
    assert_int_equal(length, 33);
    length += digest_encode(&b, bytes + length);
    assert_int_equal(length, 33 + 65);
    struct slice row = slice_from(bytes, length);
    assert_true(digest_decode(&row, &read));
    assert_true(digest_equal(&read, &a));
    assert_false(digest_equal(&read, &b));
    assert_true(digest_decode(&row, &read));
    assert_true(digest_equal(&read, &b));
    assert_int_equal(row.length, 0);
    assert_false(digest_decode(&row, &read));
}

static void digest_decode_refuses_short_and_unknown_bytes(void **state)
{
    uint8_t bytes[DIGEST_BINARY_MAX];
    struct digest digest;

    (void)state;

    digest_of(HASH_SHA256, slice_of("a"), &digest);
    size_t length = digest_encode(&digest, bytes);
    struct slice bad = slice_from(bytes, length - 1);
    assert_false(digest_decode(&bad, &digest));
    assert_int_equal(bad.length, length - 1);
    bytes[0] = 3;
    bad = slice_from(bytes, length);
    assert_false(digest_decode(&bad, &digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_parse_reads_back_what_it_prints),
        cmocka_unit_test(digest_parse_rejects_every_malformed_form),
        cmocka_unit_test(digest_parse_tells_unknown_algorithms_apart),
        cmocka_unit_test(digest_parse_leaves_its_output_alone_on_failure),
        cmocka_unit_test(digest_of_nothing_is_the_known_one),
        cmocka_unit_test(digest_decode_reads_a_row_of_digests),
        cmocka_unit_test(digest_decode_refuses_short_and_unknown_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
