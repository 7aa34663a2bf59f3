/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

typedef int parse_fn(struct slice text, uint64_t *out, struct error *err);

struct expectation {
    parse_fn *parse;
    const char *text;
    int result;
    uint64_t value;
};

static const struct expectation expectations[] = {
    {text_parse_u64, "0", 0, 0},
    {text_parse_u64, "00000000000000000007", 0, 7},
    {text_parse_u64, "000000000000000000007", -ERR_INVALID, 0},
    {text_parse_u64, "18446744073709551615", 0, UINT64_MAX},
    {text_parse_u64, "18446744073709551616", -ERR_TOO_LARGE, 0},
    {text_parse_u64, "99999999999999999999", -ERR_TOO_LARGE, 0},
    {text_parse_u64, "", -ERR_INVALID, 0},
    {text_parse_u64, "-1", -ERR_INVALID, 0},
    {text_parse_u64, "+1", -ERR_INVALID, 0},
    {text_parse_u64, " 1", -ERR_INVALID, 0},
    {text_parse_u64, "1 ", -ERR_INVALID, 0},
    {text_parse_u64, "0x1", -ERR_INVALID, 0},
    {text_parse_size, "1024", 0, 1024},
    {text_parse_size, "64KiB", 0, 65536},
    {text_parse_size, "10MB", 0, 10485760},
    {text_parse_size, "5GiB", 0, 5368709120},
    {text_parse_size, "2g", 0, 2147483648},
    {text_parse_size, "3Ti", 0, 3298534883328},
    {text_parse_size, "7B", 0, 7},
    {text_parse_size, "16777215TiB", 0, UINT64_C(16777215) << 40},
    {text_parse_size, "16777216TiB", -ERR_TOO_LARGE, 0},
    {text_parse_size, "99999999999999999999999", -ERR_TOO_LARGE, 0},
    {text_parse_size, "KiB", -ERR_INVALID, 0},
    {text_parse_size, "1.5GiB", -ERR_INVALID, 0},
    {text_parse_size, "1 GiB", -ERR_INVALID, 0},
    {text_parse_size, "1XiB", -ERR_INVALID, 0},
    {text_parse_size, "-1", -ERR_INVALID, 0},
    {text_parse_duration, "250ms", 0, 250},
    {text_parse_duration, "10s", 0, 10000},
    {text_parse_duration, "10", 0, 10000},
    {text_parse_duration, "5m", 0, 300000},
    {text_parse_duration, "1h", 0, 3600000},
    {text_parse_duration, "30d", 0, 2592000000},
    {text_parse_duration, "18446744073709551s", 0, UINT64_C(18446744073709551000)},
    {text_parse_duration, "18446744073709552s", -ERR_TOO_LARGE, 0},
    {text_parse_duration, "1h30m", -ERR_INVALID, 0},
    {text_parse_duration, "", -ERR_INVALID, 0},
    {text_parse_duration, "1w", -ERR_INVALID, 0},
};

static void numbers_are_parsed_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        const struct expectation *expected = &expectations[i];
        uint64_t value = 12345;
        struct error err;
        int rc = expected->parse(slice_of(expected->text), &value, &err);

        if (rc != expected->result ||
            value != (rc ? 12345 : expected->value)) { /* untouched on failure */
            fail_msg("\"%s\": %d, %llu", expected->text, rc, (unsigned long long)value);
        }
    }
}

static void what_was_wrong_is_shown_escaped_and_cut(void **state)
{
    uint64_t value;
    struct error err;
    char text[100];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[1] = '\n';
    assert_int_equal(text_parse_u64(slice_from(text, sizeof(text)), &value, &err), -ERR_INVALID);
    assert_string_equal(err.text, "\"a\\x0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is not a number");
}

static const char *size_text(struct buf *buf, uint64_t bytes)
{
    buf_clear(buf);
    text_print_size(buf, bytes);
    return buf_text(buf);
}

static const char *duration_text(struct buf *buf, uint64_t ms)
{
    buf_clear(buf);
    text_print_duration(buf, ms);
    return buf_text(buf);
}

static void sizes_and_durations_print_in_the_shortest_exact_form(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 64);
    assert_string_equal(size_text(&buf, 0), "0");
    assert_string_equal(size_text(&buf, 1000), "1000");
    assert_string_equal(size_text(&buf, 65536), "64KiB");
    assert_string_equal(size_text(&buf, 1u << 30), "1GiB");
    assert_string_equal(size_text(&buf, (uint64_t)1 << 60), "1048576TiB");
    assert_string_equal(duration_text(&buf, 0), "0s");
    assert_string_equal(duration_text(&buf, 250), "250ms");
    assert_string_equal(duration_text(&buf, 1500), "1500ms");
    assert_string_equal(duration_text(&buf, 90000), "90s");
    assert_string_equal(duration_text(&buf, 300000), "5m");
    assert_string_equal(duration_text(&buf, 2592000000), "30d");
}

static void hex_is_lower_case_both_ways(void **state)
{
    const uint8_t bytes[] = {0x00, 0xab, 0xff};
    uint8_t back[3] = {1, 1, 1};
    char out[7];

    (void)state;
    text_print_hex(bytes, 3, out);
    assert_string_equal(out, "00abff");
    assert_false(text_read_hex(slice_of("00ABff"), back, 3));
    assert_false(text_read_hex(slice_of("00abf"), back, 3));
    assert_false(text_read_hex(slice_of("00abfff0"), back, 3));
    assert_false(text_read_hex(slice_of("00abfg"), back, 3));
    assert_int_equal(back[0], 1);
    assert_true(text_read_hex(slice_of("00abff"), back, 3));
    assert_memory_equal(back, bytes, 3);
}

static void percent_escapes_are_decoded_strictly(void **state)
{
    const char *bad[] = {"%", "%4", "%zz", "a%0", "%00", "%-1"};
    AUTO_BUF struct buf buf;
    struct error err;

    (void)state;
    buf_init(&buf, 64);
    assert_int_equal(text_percent_decode(slice_of("a%2Fb%3d+%25"), &buf, &err), 0);
    assert_string_equal(buf_text(&buf), "a/b=+%");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buf_clear(&buf);
        assert_int_equal(text_percent_decode(slice_of(bad[i]), &buf, &err), -ERR_INVALID);
        assert_int_equal(buf.length, 0);
    }
    assert_int_equal(text_percent_decode(slice_from("a\0b", 3), &buf, &err), -ERR_INVALID);
}

static void percent_encoding_keeps_what_it_is_told(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 64);
    text_percent_encode(&buf, slice_from("a-._~/: \xff\0", 10), "/");
    assert_string_equal(buf_text(&buf), "a-._~/%3A%20%FF%00");
}

static void escaped_text_is_printable(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 64);
    text_print_escaped(&buf, slice_from("a\"\\\n\x7f\xc3", 6), 6);
    assert_string_equal(buf_text(&buf), "a\\\"\\\\\\x0a\\x7f\\xc3");
    buf_clear(&buf);
    text_print_escaped(&buf, slice_of("abcd"), 3);
    assert_string_equal(buf_text(&buf), "abc...");
}

static void utf8_is_read_strictly(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf!", 2},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"", 0},
        {"\x80", 0},             /* a later byte */
        {"\xc3", 0},             /* half a character */
        {"\xc3(", 0},            /* the second byte is none */
        {"\xe2\x82", 0},         /* two of three */
        {"\xe2\x82(", 0},        /* the third byte is none */
        {"\xc0\xaf", 0},         /* overlong '/' */
        {"\xc1\xbf", 0},         /* overlong */
        {"\xe0\x80\xaf", 0},     /* overlong '/' */
        {"\xe0\x9f\xbf", 0},     /* overlong */
        {"\xf0\x80\x80\xaf", 0}, /* overlong '/' */
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xed\xa0\x80", 0},     /* the first surrogate */
        {"\xed\xbf\xbf", 0},     /* the last */
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(text_utf8_length(slice_of(cases[i].text)), cases[i].length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_parsed_strictly),
        cmocka_unit_test(what_was_wrong_is_shown_escaped_and_cut),
        cmocka_unit_test(sizes_and_durations_print_in_the_shortest_exact_form),
        cmocka_unit_test(hex_is_lower_case_both_ways),
        cmocka_unit_test(percent_escapes_are_decoded_strictly),
        cmocka_unit_test(percent_encoding_keeps_what_it_is_told),
        cmocka_unit_test(escaped_text_is_printable),
        cmocka_unit_test(utf8_is_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
