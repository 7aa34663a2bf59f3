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
    assert_int_equal(slice_of(upload_id_print(&a, text)).length, 40);
    assert_true(slice_starts_with(slice_of(text), "01000000"));
    assert_true(upload_id_parse(slice_of(text), &read));
    assert_true(upload_id_equal(&a, &read));
}

static void upload_id_parse_refuses_what_is_none_of_ours(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "../x",
        "0100000000000000000000000000000000000000ff",
        "01000000000000000000000000000000000000",
        "0100000000000000000000000000000000000A0B",
        "02000000000000000000000000000000000000aa",
    };
    struct upload_id id;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(upload_id_parse(slice_of(bad[i]), &id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upload_id_parse_reads_back_a_new_id),
        cmocka_unit_test(upload_id_parse_refuses_what_is_none_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
