/* SPDX-License-Identifier: Apache-2.0 */
/* Upload ids: print, parse, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "oci/upload_id.h"

static void upload_id_parse_reads_back_a_new_id(void **state)
{
    struct error err;
    struct upload_id a;
    struct upload_id b;
    struct upload_id read;
    char text[UPLOAD_ID_TEXT_SIZE];

    (void)state;

    assert_int_equal(upload_id_new(&a, &err), 0);
    assert_int_equal(upload_id_new(&b, &err), 0);
    assert_false(upload_id_equal(&a, &b));
    assert_int_equal(slice_of(upload_id_print(&a, text)).length, 45);
    assert_true(slice_ends_with(slice_of(text), "-01000000"));
    assert_true(upload_id_parse(slice_of(text), &read));
    assert_true(upload_id_equal(&a, &read));
}

static void upload_id_print_begins_with_a_uuid_of_version_4(void **state)
{
    static const char *const text = "01234567-89ab-4cde-8f01-23456789abcd-01000002";
    static const uint8_t random[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c, 0xde,
                                       0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd};
    char printed[UPLOAD_ID_TEXT_SIZE];
    struct upload_id id;
    struct error err;

    (void)state;

    assert_true(upload_id_parse(slice_of(text), &id));
    assert_memory_equal(id.random, random, sizeof(random));
    assert_int_equal(id.version, 1);
    assert_int_equal(id.replica[2], 2);
    assert_string_equal(upload_id_print(&id, printed), text);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(upload_id_new(&id, &err), 0);
        (void)upload_id_print(&id, printed);
        assert_int_equal(printed[14], '4');
        assert_true(printed[19] == '8' || printed[19] == '9' || printed[19] == 'a' ||
                    printed[19] == 'b');
    }
}

static void upload_id_parse_refuses_what_is_none_of_ours(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "../x",
        "0123456789abcdef0123456789abcdef01000000",
        "01000000aabbccddeeff00112233445566778899",
        "01234567-89ab-4cde-8f01-23456789abcd",
        "01234567-89ab-4cde-8f01-23456789abcd-",
        "01234567-89ab-4cde-8f01-23456789abcd-0100000",
        "01234567-89ab-4cde-8f01-23456789abcd-0100000000",
        "01234567-89ab-4cde-8f01-23456789abcd-01000000-",
        "0123456789ab-4cde-8f01-23456789abcd-01000000",
        "01234567-89ab-4cde-8f01-23456789abcD-01000000",
        "01234567-89ab-4cde-8f01-23456789abcd-02000000",
        "01234567-89ab-1cde-8f01-23456789abcd-01000000",
        "01234567-89ab-4cde-cf01-23456789abcd-01000000",
    };
    struct upload_id id;

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(upload_id_parse(slice_of(bad[i]), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upload_id_parse_reads_back_a_new_id),
        cmocka_unit_test(upload_id_print_begins_with_a_uuid_of_version_4),
        cmocka_unit_test(upload_id_parse_refuses_what_is_none_of_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
