/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked decoder: what comes out of a body, wherever it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/http_parser.h"

enum ending {
    OPEN,    /* more is expected */
    OVER,    /* and what follows belongs to the next request */
    REFUSED, /* 400 */
};

struct row {
    const char *name;
    struct slice bytes;
    enum ending ending;
    const char *data;
};

#define ROW(name, bytes, ending, data)                                                             \
    {                                                                                              \
        (name), {(bytes), sizeof(bytes) - 1}, (ending), (data)                                     \
    }
#define SIZE(text)      text "\r\nabc\r\n0\r\n\r\n"
#define EXTENSION(text) "3" text "\r\nabc\r\n0\r\n\r\n"
#define TRAILER(text)   "3\r\nabc\r\n0\r\n" text "\r\n"
#define ZEROS_15        "000000000000000"

static const struct row rows[] = {
    ROW("nothing yet", "", OPEN, ""),
    ROW("one chunk", SIZE("3"), OVER, "abc"),
    ROW("no data", "0\r\n\r\n", OVER, ""),
    ROW("two chunks", "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", OVER, "abcdefg"),
    ROW("a chunk of hex size", "00A\r\n0123456789\r\n0\r\n\r\n", OVER, "0123456789"),
    ROW("the next request is not touched", SIZE("3") "GET", OVER, "abc"),
    ROW("cut in data", "3\r\nab", OPEN, "ab"),
    ROW("B75 0x3", SIZE("0x3"), REFUSED, ""),
    ROW("B75 +3", SIZE("+3"), REFUSED, ""),
    ROW("B75 -1", SIZE("-1"), REFUSED, ""),
    ROW("B75 space before", SIZE(" 3"), REFUSED, ""),
    ROW("B75 space behind", SIZE("3 "), REFUSED, ""),
    ROW("B75 tab behind", SIZE("3\t"), REFUSED, ""),
    ROW("B75 underscore", SIZE("_3"), REFUSED, ""),
    ROW("B75 empty", SIZE(""), REFUSED, ""),
    ROW("B75 g", SIZE("g"), REFUSED, ""),
    ROW("B76 17 digits", SIZE("0" ZEROS_15 "3"), REFUSED, ""),
    ROW("B76 all bits", SIZE("FFFFFFFFFFFFFFFF"), REFUSED, ""),
    ROW("B76 nearly 2^63", SIZE("7FFFFFFFFFFFFFF7"), REFUSED, ""),
    ROW("B76 14 digits", SIZE("10000000000000"), REFUSED, ""),
    ROW("13 digits", "FFFFFFFFFFFFF\r\na", OPEN, "a"),
    ROW("B78 LF", "3\nabc\r\n0\r\n\r\n", REFUSED, ""),
    ROW("B78 CR", "3\rabc\r\n0\r\n\r\n", REFUSED, ""),
    ROW("B78 CR CR LF", "3\r\r\nabc\r\n0\r\n\r\n", REFUSED, ""),
    ROW("B79 data too long", "3\r\nabcd\r\n0\r\n\r\n", REFUSED, "abc"),
    ROW("B79 data too short", "3\r\nab\r\n0\r\n\r\n", REFUSED, "ab\r"),
    ROW("B79 LF behind data", "3\r\nabc\n0\r\n\r\n", REFUSED, "abc"),
    ROW("B79 blank line", "3\r\nabc\r\n\r\n0\r\n\r\n", REFUSED, "abc"),
    ROW("B80 extensions", EXTENSION(";a=b;c=\"d \\\" e\";f"), OVER, "abc"),
    ROW("B81 LF in an extension", EXTENSION(";a\n"), REFUSED, ""),
    ROW("B81 CR in an extension", EXTENSION(";a\rb"), REFUSED, ""),
    ROW("B81 NUL in an extension", EXTENSION(";a\0"), REFUSED, ""),
    ROW("B81 CR in quotes", EXTENSION(";a=\"\r\n\""), REFUSED, ""),
    ROW("B81 open quote", EXTENSION(";a=\"b"), REFUSED, ""),
    ROW("B81 bare semicolon", EXTENSION(";"), REFUSED, ""),
    ROW("B81 two semicolons", EXTENSION(";;a"), REFUSED, ""),
    ROW("extension without a value", EXTENSION(";a="), REFUSED, ""),
    ROW("something behind a quote", EXTENSION(";a=\"b\"c"), REFUSED, ""),
    ROW("B83 sixteen zeros", "3\r\nabc\r\n0" ZEROS_15 "\r\n\r\n", OVER, "abc"),
    ROW("B83 seventeen zeros", "3\r\nabc\r\n00" ZEROS_15 "\r\n\r\n", REFUSED, "abc"),
    ROW("B84 no last line end", "3\r\nabc\r\n0\r\nX", OPEN, "abc"),
    ROW("B85 trailers", TRAILER("Content-Length: 5\r\nHost: x\r\n"), OVER, "abc"),
    ROW("B86 trailer with LF", TRAILER("A: b\n"), REFUSED, "abc"),
    ROW("B86 trailer without colon", TRAILER("A\r\n"), REFUSED, "abc"),
    ROW("folded trailer", TRAILER("A: b\r\n c\r\n"), REFUSED, "abc"),
    ROW("empty trailer name", TRAILER(": b\r\n"), REFUSED, "abc"),
};

struct result {
    enum ending ending;
    size_t used;
};

static struct result feed(struct http_chunked *chunked, struct slice bytes, size_t data_max,
                          struct buf *out)
{
    struct result result = {.ending = OPEN};

    for (;;) {
        struct http_refusal refusal = {0};
        struct slice data = {NULL, 0};
        size_t used = 0;
        enum http_chunked_verdict verdict = http_chunked_feed(
            chunked, slice_skip(bytes, result.used), data_max, &used, &data, &refusal);

        result.used += used;
        switch (verdict) {
        case CHUNKED_MORE:
            assert_int_equal(result.used, bytes.length);
            return result;
        case CHUNKED_DATA:
            assert_true(data.length > 0 && data.length <= data_max);
            buf_append_slice(out, data);
            break;
        case CHUNKED_END:
            result.ending = OVER;
            return result;
        case CHUNKED_REFUSED:
            assert_int_equal(refusal.status, 400);
            result.ending = REFUSED;
            return result;
        }
    }
}

static void check_split(const struct row *row, size_t at, size_t data_max)
{
    struct http_chunked chunked;
    AUTO_BUF struct buf out;

    buf_init(&out, 4096);
    http_chunked_init(&chunked);
    struct result first = feed(&chunked, slice_from(row->bytes.data, at), data_max, &out);
    struct result all = first;
    if (first.ending == OPEN) {
        all = feed(&chunked, slice_skip(row->bytes, at), data_max, &out);
        all.used += first.used;
    }
    if (all.ending != row->ending || !slice_is(buf_bytes(&out), row->data)) {
        fail_msg("%s, cut at %zu: ending %d, data \"%s\"", row->name, at, all.ending,
                 buf_text(&out));
    }
    if (row->ending == OVER && slice_ends_with(row->bytes, "GET"))
        assert_int_equal(all.used, row->bytes.length - 3);
}

static void bodies_are_decoded_the_same_wherever_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t at = 0; at <= rows[i].bytes.length; at++) {
            check_split(&rows[i], at, 4096);
            check_split(&rows[i], at, 1);
        }
    }
}

static enum ending decode_one_byte_chunks(unsigned count)
{
    struct http_chunked chunked;
    AUTO_BUF struct buf out;

    buf_init(&out, 2 * 1024 * 1024UL);
    http_chunked_init(&chunked);
    for (unsigned i = 0; i < count; i++) {
        if (feed(&chunked, SLICE_LITERAL("1\r\nx\r\n"), 1, &out).ending == REFUSED)
            return REFUSED;
    }
    return feed(&chunked, SLICE_LITERAL("0\r\n\r\n"), 1, &out).ending;
}

static void bodies_in_far_too_many_chunks_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_one_byte_chunks(100 * 1000), OVER);
    assert_int_equal(decode_one_byte_chunks(1000 * 1000), REFUSED);
}

static enum ending decode_trailers(unsigned count, size_t length)
{
    struct http_chunked chunked;
    AUTO_BUF struct buf out;
    AUTO_BUF struct buf body;

    buf_init(&out, 1);
    buf_init(&body, 64 * 1024UL);
    buf_append_text(&body, "0\r\n");
    for (unsigned i = 0; i < count; i++) {
        buf_append_text(&body, "A:");
        for (size_t k = 4; k < length; k++)
            buf_append_byte(&body, 'x');
        buf_append_text(&body, "\r\n");
    }
    buf_append_text(&body, "\r\n");
    http_chunked_init(&chunked);
    return feed(&chunked, buf_bytes(&body), 1, &out).ending;
}

static void trailers_have_limits_of_size_and_count(void **state)
{
    (void)state;
    assert_int_equal(decode_trailers(19, 10), OVER);
    assert_int_equal(decode_trailers(20, 10), REFUSED);
    assert_int_equal(decode_trailers(1, 4000), OVER);
    assert_int_equal(decode_trailers(1, 5000), REFUSED);
}

static enum ending decode_extension(size_t length)
{
    struct http_chunked chunked;
    AUTO_BUF struct buf out;
    AUTO_BUF struct buf body;

    buf_init(&out, 1);
    buf_init(&body, 4096);
    buf_append_text(&body, "0;");
    for (size_t i = 0; i < length; i++)
        buf_append_byte(&body, 'x');
    buf_append_text(&body, "\r\n\r\n");
    http_chunked_init(&chunked);
    return feed(&chunked, buf_bytes(&body), 1, &out).ending;
}

static void extensions_have_a_limit(void **state)
{
    (void)state;
    assert_int_equal(decode_extension(255), OVER); /* and its ';' */
    assert_int_equal(decode_extension(256), REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_decoded_the_same_wherever_they_are_cut),
        cmocka_unit_test(bodies_in_far_too_many_chunks_are_refused),
        cmocka_unit_test(trailers_have_limits_of_size_and_count),
        cmocka_unit_test(extensions_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
