/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"

static const char *const pairs[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xfe", "//4="},
};

static void both_ways_match_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        AUTO_BUF struct buf buf;
        uint8_t bytes[16];
        size_t length = 99;

        buf_init(&buf, 100);
        base64_print(&buf, slice_of(pairs[i][0]));
        assert_string_equal(buf_text(&buf), pairs[i][1]);
        assert_true(base64_read(slice_of(pairs[i][1]), bytes, &length));
        assert_int_equal(length, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], length);
    }
}

static void long_texts_are_one_text(void **state)
{
    AUTO_BUF struct buf buf;
    AUTO_FREE uint8_t *bytes = mem_zalloc(1, 20000);
    AUTO_FREE uint8_t *back = mem_zalloc(1, 20002);
    size_t length = 0;

    (void)state;
    for (size_t i = 0; i < 20000; i++)
        bytes[i] = (uint8_t)(i * i);
    buf_init(&buf, 100000);
    base64_print(&buf, slice_from(bytes, 20000));
    assert_int_equal(buf.length, 26668);
    assert_true(base64_read(buf_bytes(&buf), back, &length));
    assert_int_equal(length, 20000);
    assert_memory_equal(back, bytes, 20000);
}

static void a_buffer_has_its_maximum(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 7);
    base64_print(&buf, slice_of("foobar"));
    assert_true(buf.is_over);
}

static void other_texts_are_refused(void **state)
{
    static const char *const bad[] = {
        "Z",    "Zg",     "Zg=",  "Zm9v\n", " Zm9v", "Zm9v ",    "Zg==Zg==", "Z===",      "====",
        "Zm=v", "Zm8=\n", "Zh==", "Zm9=",   "Zm-_",  "Zm9v====", "\x80m9v",  "Zm9v\nZm9",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t bytes[16];
        size_t length = 99;

        if (base64_read(slice_of(bad[i]), bytes, &length))
            fail_msg("%s was read", bad[i]);
        assert_int_equal(length, 99);
    }
    uint8_t bytes[16];
    size_t length;
    assert_false(base64_read(slice_from("Zm\0v", 4), bytes, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_match_the_rfc),
        cmocka_unit_test(long_texts_are_one_text),
        cmocka_unit_test(a_buffer_has_its_maximum),
        cmocka_unit_test(other_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
