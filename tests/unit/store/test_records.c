/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "records.h"

static void numbers_sort_as_their_bytes(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 255, 256, 65535, 65536, UINT32_MAX};
    for (size_t i = 1; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct record smaller;
        struct record larger;

        record_init(&smaller);
        record_add_u32(&smaller, numbers[i - 1]);
        record_init(&larger);
        record_add_u32(&larger, numbers[i]);
        assert_int_equal(smaller.length, larger.length);
        assert_true(memcmp(smaller.bytes, larger.bytes, smaller.length) < 0);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct digest digest;
    digest_of(HASH_SHA512, SLICE_LITERAL("x"), &digest);
    struct digest none;
    memset(&none, 0, sizeof(none));
    struct record record;
    record_init_value(&record);
    record_add_u8(&record, 7);
    record_add_u16(&record, 65000);
    record_add_u64(&record, UINT64_MAX - 1);
    record_add_digest(&record, &digest);
    record_add_digest(&record, &none);
    record_add_text(&record, SLICE_LITERAL("library/nginx"));
    assert_false(record.is_over);

    struct record_reader reader;
    struct digest back;
    record_read_value(&reader, record_bytes(&record));
    assert_int_equal(record_u8(&reader), 7);
    assert_int_equal(record_u16(&reader), 65000);
    assert_true(record_u64(&reader) == UINT64_MAX - 1);
    record_digest(&reader, &back);
    assert_true(digest_equal(&back, &digest));
    record_digest(&reader, &back);
    assert_int_equal(back.algorithm, 0);
    assert_true(slice_is(record_text(&reader), "library/nginx"));
    assert_false(reader.is_bad);
}

static void an_older_record_has_zero_in_newer_fields(void **state)
{
    (void)state;
    struct record record;
    record_init_value(&record);
    record_add_u32(&record, 5);
    struct record_reader reader;
    struct digest digest;
    record_read_value(&reader, record_bytes(&record));
    assert_int_equal(record_u32(&reader), 5);
    assert_true(record_u64(&reader) == 0);
    assert_int_equal(record_text(&reader).length, 0);
    record_digest(&reader, &digest);
    assert_int_equal(digest.algorithm, 0);
    assert_false(reader.is_bad);
}

static void a_record_cut_at_any_byte_is_bad_or_shorter(void **state)
{
    (void)state;
    struct digest digest;
    digest_of(HASH_SHA256, SLICE_LITERAL("x"), &digest);
    struct record record;
    record_init_value(&record);
    record_add_u64(&record, 1);
    record_add_digest(&record, &digest);
    record_add_text(&record, SLICE_LITERAL("abc"));
    for (size_t length = 0; length < record.length; length++) {
        struct record_reader reader;
        struct digest back;

        record_read_value(&reader, slice_from(record.bytes, length));
        (void)record_u64(&reader);
        record_digest(&reader, &back);
        (void)record_text(&reader);
        bool is_at_field = length == 1 || length == 9 || length == 9 + 33;
        assert_int_equal(reader.is_bad, !is_at_field);
    }
}

static void an_unknown_version_is_bad(void **state)
{
    (void)state;
    struct record_reader reader;
    record_read_value(&reader, SLICE_LITERAL("\x02zzzz"));
    assert_true(reader.is_bad);
}

static void a_record_over_its_size_says_so(void **state)
{
    (void)state;
    static const char zeros[RECORD_SIZE];
    struct record record;
    record_init_value(&record);
    record_add_bytes(&record, slice_from(zeros, sizeof(zeros)));
    assert_true(record.is_over);
    assert_int_equal(record.length, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_sort_as_their_bytes),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(an_older_record_has_zero_in_newer_fields),
        cmocka_unit_test(a_record_cut_at_any_byte_is_bad_or_shorter),
        cmocka_unit_test(an_unknown_version_is_bad),
        cmocka_unit_test(a_record_over_its_size_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
