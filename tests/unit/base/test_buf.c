/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>

#include "base/buf.h"

static void buf_grows_to_its_maximum_and_no_further(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    for (int i = 0; i < 10; i++)
        buf_append(&buf, "0123456789", 10);
    assert_false(buf.is_over);
    assert_int_equal(buf.length, 100);
    assert_int_equal(strlen(buf_text(&buf)), 100);
    buf_append_byte(&buf, 'x');
    assert_true(buf.is_over);
    assert_int_equal(buf.length, 100);
    assert_true(buf.capacity <= 101);
}

static void buf_keeps_what_fits_and_nothing_after_the_cut(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 4);
    buf_append_text(&buf, "abcdef");
    assert_string_equal(buf_text(&buf), "abcd");
    buf_consume(&buf, 2);
    buf_append_text(&buf, "x");
    assert_string_equal(buf_text(&buf), "cd");
    buf_clear(&buf);
    assert_false(buf.is_over);
    buf_append_text(&buf, "x");
    assert_string_equal(buf_text(&buf), "x");
}

static void buf_printf_grows_and_cuts(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 300);
    buf_printf(&buf, "%d-", 7);
    buf_printf(&buf, "%0200d", 1);
    assert_int_equal(buf.length, 202);
    assert_false(buf.is_over);
    buf_printf(&buf, "%0200d", 1);
    assert_true(buf.is_over);
    assert_int_equal(buf.length, 300);
    assert_int_equal(strlen(buf_text(&buf)), 300);
    assert_memory_equal(buf_text(&buf), "7-000", 5);
}

static void buf_printf_of_exactly_the_maximum_is_not_over(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 5);
    buf_printf(&buf, "%s", "12345");
    assert_false(buf.is_over);
    assert_string_equal(buf_text(&buf), "12345");
}

static void buf_as_a_queue_stays_small(void **state)
{
    AUTO_BUF struct buf buf;
    unsigned char next_in = 0;
    unsigned char next_out = 0;

    (void)state;
    buf_init(&buf, 1000);
    for (int i = 0; i < 100000; i++) {
        buf_append_byte(&buf, (char)next_in++);
        buf_append_byte(&buf, (char)next_in++);
        if (buf.length > 900) {
            while (buf.length > 10) {
                assert_int_equal((unsigned char)buf_bytes(&buf).data[0], next_out++);
                buf_consume(&buf, 1);
            }
        }
    }
    assert_true(buf.capacity <= 2 * 1000 + 1);
}

static void buf_reserve_gives_room_within_the_maximum(void **state)
{
    AUTO_BUF struct buf buf;
    char *room;

    (void)state;
    buf_init(&buf, 10);
    assert_null(buf_reserve(&buf, 11));
    room = buf_reserve(&buf, 10);
    assert_non_null(room);
    memcpy(room, "abc", 3);
    buf_added(&buf, 3);
    assert_null(buf_reserve(&buf, 8));
    assert_string_equal(buf_text(&buf), "abc");
}

static void zeroed_buf_is_safe(void **state)
{
    struct buf buf = {0};

    (void)state;
    assert_int_equal(buf_bytes(&buf).length, 0);
    buf_append(&buf, NULL, 0);
    assert_false(buf.is_over);
    buf_append_byte(&buf, 'x');
    assert_true(buf.is_over);
    assert_string_equal(buf_text(&buf), "");
    buf_cleanup(&buf);
    buf_cleanup(&buf);
}

static void consume_too_much(void)
{
    struct buf buf = {0};

    buf_consume(&buf, 1);
}

static void buf_consume_of_more_than_there_is_aborts(void **state)
{
    (void)state;
    assert_true(aborts(consume_too_much));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(buf_keeps_what_fits_and_nothing_after_the_cut),
        cmocka_unit_test(buf_printf_grows_and_cuts),
        cmocka_unit_test(buf_printf_of_exactly_the_maximum_is_not_over),
        cmocka_unit_test(buf_as_a_queue_stays_small),
        cmocka_unit_test(buf_reserve_gives_room_within_the_maximum),
        cmocka_unit_test(zeroed_buf_is_safe),
        cmocka_unit_test(buf_consume_of_more_than_there_is_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
