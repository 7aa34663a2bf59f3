/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of variable length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/varint.h"

static void varint_cut_reads_back_every_length(void **state)
{
    AUTO_BUF struct buf out;

    (void)state;

    buf_init(&out, 1000);
    for (unsigned bit = 0; bit < 64; bit++) {
        varint_append(&out, UINT64_C(1) << bit);
        varint_append(&out, (UINT64_C(1) << bit) - 1);
    }
    varint_append(&out, UINT64_MAX);
    struct slice rest = buf_bytes(&out);
    uint64_t number = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_true(varint_cut(&rest, &number));
        assert_true(number == UINT64_C(1) << bit);
        assert_true(varint_cut(&rest, &number));
        assert_true(number == (UINT64_C(1) << bit) - 1);
    }
    assert_true(varint_cut(&rest, &number));
    assert_true(number == UINT64_MAX);
    assert_int_equal(rest.length, 0);
    assert_false(varint_cut(&rest, &number));
}

static void varint_cut_refuses_what_is_cut_off_or_too_large(void **state)
{
    struct slice cut = SLICE_LITERAL("\x80\x80");
    struct slice large = SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    struct slice endless = SLICE_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
    uint64_t number = 7;

    (void)state;

    assert_false(varint_cut(&cut, &number));
    assert_false(varint_cut(&large, &number));
    assert_false(varint_cut(&endless, &number));
    assert_int_equal(number, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varint_cut_reads_back_every_length),
        cmocka_unit_test(varint_cut_refuses_what_is_cut_off_or_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
