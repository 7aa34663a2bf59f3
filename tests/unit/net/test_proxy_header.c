/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for net/proxy_header: each header whole, byte by byte, and cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/proxy_header.h"

#define REST           "GET / HTTP/1.1\r\n"
#define SIGNATURE      "\r\n\r\n\0\r\nQUIT\n"
#define INET           "\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x67\x01\xbb"
#define BYTES(literal) literal, sizeof(literal) - 1

struct row {
    const char *bytes;
    size_t length;
    const char *client; /* NULL: refused */
};

/* Feeds pieces that end at `cut` and at the end. */
static enum proxy_verdict feed(struct proxy_header *header, struct slice bytes, size_t cut,
                               size_t *at)
{
    enum proxy_verdict verdict = PROXY_MORE;
    const char *why = NULL;
    size_t used = 0;

    *at = 0;
    while (verdict == PROXY_MORE && *at < bytes.length) {
        size_t end = *at < cut ? cut : bytes.length;

        verdict = proxy_header_feed(header, slice_from(bytes.data + *at, end - *at), &used, &why);
        *at += used;
    }
    bool has_reason = why;
    assert_int_equal(verdict == PROXY_BAD, has_reason);
    return verdict;
}

static void check_cut(const struct row *row, struct slice bytes, size_t cut)
{
    struct proxy_header header = {0};
    size_t at = 0;
    enum proxy_verdict verdict = feed(&header, bytes, cut, &at);

    if (!row->client) {
        assert_int_equal(verdict, PROXY_BAD);
        return;
    }
    assert_int_equal(verdict, PROXY_DONE);
    assert_int_equal(at, row->length);
    assert_string_equal(header.client, row->client);
}

/* The bytes after the header are not taken. */
static void check(const struct row *row)
{
    char text[8192];
    size_t length = row->length;

    memcpy(text, row->bytes, length);
    if (row->client) {
        memcpy(text + length, REST, sizeof(REST));
        length += sizeof(REST) - 1;
    }
    for (size_t cut = 0; cut < length; cut++)
        check_cut(row, slice_from(text, length), cut);
    struct proxy_header header = {0};
    enum proxy_verdict verdict = PROXY_MORE;
    for (size_t i = 0; i < length && verdict == PROXY_MORE; i++) {
        const char *why;
        size_t used;

        verdict = proxy_header_feed(&header, slice_from(text + i, 1), &used, &why);
        assert_int_equal(used, 1);
    }
    assert_int_equal(verdict, row->client ? PROXY_DONE : PROXY_BAD);
}

static void lines_are_read(void **state)
{
    static const struct row rows[] = {
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"), "192.0.2.1:4711"},
        {BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
         "255.255.255.255:65535"},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n"), "192.0.2.1:0"},
        {BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n"), "[2001:db8::1]:4711"},
        {BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n"), "192.0.2.1:4711"},
        {BYTES("PROXY UNKNOWN\r\n"), ""},
        {BYTES("PROXY UNKNOWN ffff::ffff ffff::ffff 65535 65535\r\n"), ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i]);
}

static void bad_lines_are_refused(void **state)
{
    static const struct row rows[] = {
        {BYTES("GET / HTTP/1.1\r\n"), NULL},
        {BYTES("\x16\x03\x01"), NULL},
        {BYTES("proxy TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"), NULL},
        {BYTES("PROXY  TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443 \r\n"), NULL},
        {BYTES("PROXY TCP4  192.0.2.1 192.0.2.2 4711 443\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443 1\r\n"), NULL},
        {BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 4711 443\r\n"), NULL},
        {BYTES("PROXY TCP6 192.0.2.1 192.0.2.2 4711 443\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.256 192.0.2.2 4711 443\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 04711 443\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n"), NULL},
        {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2  443\r\n"), NULL},
        {BYTES("PROXY TCP5 192.0.2.1 192.0.2.2 1 443\r\n"), NULL},
        {BYTES("PROXY UNKNOWNX\r\n"), NULL},
        {BYTES("PROXY \r\n"), NULL},
        {BYTES("PROXY\r\n"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i]);
}

static void line_has_a_limit(void **state)
{
    char text[PROXY_LINE_MAX + 1];
    struct row row = {text, PROXY_LINE_MAX, ""};

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "PROXY UNKNOWN ", 14);
    memcpy(text + PROXY_LINE_MAX - 2, "\r\n", 2);
    check(&row);
    memcpy(text + PROXY_LINE_MAX - 2, "x\r\n", 3);
    row = (struct row){text, PROXY_LINE_MAX + 1, NULL};
    check(&row);
}

static void binary_headers_are_read(void **state)
{
    static const struct row rows[] = {
        {BYTES(SIGNATURE "\x21\x11\x00\x0c" INET), "192.0.2.1:4711"},
        {BYTES(SIGNATURE "\x21\x11\x00\x12" INET "\x04\x00\x03"
                         "abc"),
         "192.0.2.1:4711"},
        {BYTES(SIGNATURE "\x21\x21\x00\x24"
                         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
                         "\x12\x67\x01\xbb"),
         "[2001:db8::1]:4711"},
        {BYTES(SIGNATURE "\x20\x00\x00\x00"), ""},      /* a check by the proxy */
        {BYTES(SIGNATURE "\x20\x11\x00\x0c" INET), ""}, /* LOCAL, whatever follows */
        {BYTES(SIGNATURE "\x20\x11\x00\x02xx"), ""},
        {BYTES(SIGNATURE "\x21\x00\x00\x00"), ""}, /* not said */
        {BYTES(SIGNATURE "\x21\x00\x00\x03xyz"), ""},
        {BYTES(SIGNATURE "\x21\x12\x00\x0c" INET), ""}, /* UDP */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i]);
}

static void bad_binary_headers_are_refused(void **state)
{
    static const struct row rows[] = {
        {BYTES(SIGNATURE "\x11\x11\x00\x0c" INET), NULL},
        {BYTES(SIGNATURE "\x31\x11\x00\x0c" INET), NULL},
        {BYTES(SIGNATURE "\x22\x11\x00\x0c" INET), NULL},
        {BYTES(SIGNATURE "\x21\x41\x00\x0c" INET), NULL},
        {BYTES(SIGNATURE "\x21\x13\x00\x0c" INET), NULL},
        {BYTES(SIGNATURE "\x21\x11\x00\x0b" INET), NULL},
        {BYTES(SIGNATURE "\x21\x21\x00\x0c" INET), NULL},
        {BYTES(SIGNATURE "\x21\x31\x00\xd7" INET), NULL},
        {BYTES("\r\n\r\n\0\r\nQUIX\n\x21\x11\x00\x0c" INET), NULL},
        {BYTES("\r\n\r\nGET / HTTP/1.1\r\n"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i]);
}

static void long_binary_headers(void **state)
{
    static char text[PROXY_HEADER_MAX + 1];
    struct row row = {text, PROXY_HEADER_MAX, "unix"};

    (void)state;
    memcpy(text, SIGNATURE "\x21\x31", 14);
    text[14] = (char)((PROXY_HEADER_MAX - 16) >> 8);
    text[15] = (char)((PROXY_HEADER_MAX - 16) & 0xff);
    check(&row);
    text[14] = (char)((PROXY_HEADER_MAX - 15) >> 8);
    text[15] = (char)((PROXY_HEADER_MAX - 15) & 0xff);
    row = (struct row){text, PROXY_HEADER_MAX + 1, NULL};
    check(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(line_has_a_limit),
        cmocka_unit_test(binary_headers_are_read),
        cmocka_unit_test(bad_binary_headers_are_refused),
        cmocka_unit_test(long_binary_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
