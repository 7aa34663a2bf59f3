/* SPDX-License-Identifier: Apache-2.0 */
/* Request heads: what is accepted, what is refused and with which status; whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/http_parser.h"

static const struct http_limits limits = {.line_max = 8192,
                                          .head_max = 32 * 1024,
                                          .value_max = 16 * 1024,
                                          .range_max = 64 * 1024,
                                          .fields_max = HTTP_HEADERS_MAX};

#define MORE     (-1)
#define ACCEPTED 0

struct row {
    const char *name;
    struct slice bytes;
    int expected; /* ACCEPTED, MORE or the status of the refusal */
};

#define ROW(name, bytes, expected)                                                                 \
    {                                                                                              \
        (name), {(bytes), sizeof(bytes) - 1}, (expected)                                           \
    }
/* A request whose head has these fields too. */
#define GET(fields)          "GET /v2/ HTTP/1.1\r\nHost: us\r\n" fields "\r\n"
#define PUT(fields)          "PUT /v2/ HTTP/1.1\r\nHost: us\r\n" fields "\r\n"
#define LINE(line)           line "\r\nHost: us\r\n\r\n"
#define HOST(value)          "GET /v2/ HTTP/1.1\r\nHost: " value "\r\n\r\n"
#define CODING(value)        PUT("Transfer-Encoding: " value "\r\n")
#define CONTENT_LENGTH(text) PUT("Content-Length: " text "\r\n")
#define TEXT_64              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct row request_lines[] = {
    ROW("nothing yet", "", MORE),
    ROW("only a blank line yet", "\r\n", MORE),
    ROW("B2 one leading blank line", "\r\n" GET(""), ACCEPTED),
    ROW("B3 two leading blank lines", "\r\n\r\n" GET(""), 400),
    ROW("B4 HTTP/0.9", "GET /v2/\r\n\r\n", 400),
    ROW("B5 two spaces", LINE("GET  /v2/ HTTP/1.1"), 400),
    ROW("B5 two spaces before the version", LINE("GET /v2/  HTTP/1.1"), 400),
    ROW("B6 a tab", LINE("GET\t/v2/ HTTP/1.1"), 400),
    ROW("B7 trailing space", LINE("GET /v2/ HTTP/1.1 "), 400),
    ROW("leading space", LINE(" GET /v2/ HTTP/1.1"), 400),
    ROW("B8 lower-case method", LINE("get /v2/ HTTP/1.1"), 501),
    ROW("B9 NUL in the method", LINE("G\0T /v2/ HTTP/1.1"), 400),
    ROW("B9 a method that is no token", LINE("G(T /v2/ HTTP/1.1"), 400),
    ROW("B10 method of 64 bytes", LINE(TEXT_64 " /v2/ HTTP/1.1"), ACCEPTED),
    ROW("B10 method of 65 bytes", LINE(TEXT_64 "A /v2/ HTTP/1.1"), 501),
    ROW("B11 a method nobody knows is the handler's", LINE("BREW /v2/ HTTP/1.1"), ACCEPTED),
    ROW("B12 TRACE is the handler's", LINE("TRACE /v2/ HTTP/1.1"), ACCEPTED),
    ROW("B12 OPTIONS is the handler's", LINE("OPTIONS /v2/ HTTP/1.1"), ACCEPTED),
    ROW("B14 asterisk", LINE("GET * HTTP/1.1"), 400),
    ROW("B15 no slash", LINE("GET v2/ HTTP/1.1"), 400),
    ROW("no target", LINE("GET  HTTP/1.1"), 400),
    ROW("B16 absolute form of another host", LINE("GET http://other/v2/ HTTP/1.1"), 400),
    ROW("B16 absolute form with a user", LINE("GET http://me@us/v2/ HTTP/1.1"), 400),
    ROW("B17 absolute form of our host", LINE("GET http://us/v2/ HTTP/1.1"), ACCEPTED),
    ROW("B17 upper-case scheme and host", LINE("GET HTTP://US/v2/ HTTP/1.1"), ACCEPTED),
    ROW("absolute form without host", LINE("GET http:///v2/ HTTP/1.1"), 400),
    ROW("absolute form of https", LINE("GET https://us/v2/ HTTP/1.1"), 400),
    ROW("B18 HTTP/1.2", LINE("GET /v2/ HTTP/1.2"), 505),
    ROW("B18 HTTP/2.0", LINE("GET /v2/ HTTP/2.0"), 505),
    ROW("B18 HTTP/3", LINE("GET /v2/ HTTP/3"), 505),
    ROW("B19 HTTP/01.1", LINE("GET /v2/ HTTP/01.1"), 400),
    ROW("B19 HTTP/1.", LINE("GET /v2/ HTTP/1."), 400),
    ROW("B19 HTTP/1", LINE("GET /v2/ HTTP/1"), 400),
    ROW("B19 http/1.1", LINE("GET /v2/ http/1.1"), 400),
    ROW("B19 HTTP/1.1x", LINE("GET /v2/ HTTP/1.1x"), 400),
    ROW("B19 HTTP/1.10", LINE("GET /v2/ HTTP/1.10"), 400),
    ROW("B20 preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ROW("B20 only its first line", "PRI * HTTP/2.0\r\n", 505),
    ROW("B21 TLS hello", "\x16\x03\x01\x02", 400),
    ROW("B21 first byte of it", "\x16", 400),
    ROW("B23 NUL in the target", LINE("GET /v2/\0 HTTP/1.1"), 400),
    ROW("B23 0x01 in the target", LINE("GET /v2/\x01 HTTP/1.1"), 400),
    ROW("B23 DEL in the target", LINE("GET /v2/\x7f HTTP/1.1"), 400),
    ROW("B23 0x80 in the target", LINE("GET /v2/\x80 HTTP/1.1"), 400),
    ROW("B23 0xff in the target", LINE("GET /v2/\xff HTTP/1.1"), 400),
    ROW("B24 fragment", LINE("GET /v2/#frag HTTP/1.1"), 400),
    ROW("B25 backslash", LINE("GET /v2\\ HTTP/1.1"), 400),
    ROW("B26 bare LF", "GET /v2/ HTTP/1.1\nHost: us\n\n", 400),
    ROW("B26 bare LF after the fields", "GET /v2/ HTTP/1.1\r\nHost: us\r\n\n", 400),
    ROW("B26 bare LF behind a value", "GET /v2/ HTTP/1.1\r\nHost: us\n\r\n", 400),
    ROW("B26 bare CR", "GET /v2/ HTTP/1.1\rHost: us\r\r", 400),
    ROW("B27 two CR", "GET /v2/ HTTP/1.1\r\r\nHost: us\r\n\r\n", 400),
    ROW("leading bare LF", "\n" GET(""), 400),
    ROW("B103 percent at the end", LINE("GET /v2/% HTTP/1.1"), 400),
    ROW("B103 percent and one digit", LINE("GET /v2/%1 HTTP/1.1"), 400),
    ROW("B103 percent and no digits", LINE("GET /v2/%zz HTTP/1.1"), 400),
    ROW("percent-encoded", LINE("GET /v2/%3A%fF HTTP/1.1"), ACCEPTED),
};

static const struct row fields[] = {
    ROW("an ordinary head", GET("User-Agent: docker/24\r\nAccept: */*\r\n"), ACCEPTED),
    ROW("cut in the fields", "GET /v2/ HTTP/1.1\r\nHost: us\r\n", MORE),
    ROW("cut in the last line end", "GET /v2/ HTTP/1.1\r\nHost: us\r\n\r", MORE),
    ROW("B30 no Host in 1.1", "GET /v2/ HTTP/1.1\r\n\r\n", 400),
    ROW("no Host in 1.0", "GET /v2/ HTTP/1.0\r\n\r\n", ACCEPTED),
    ROW("B31 two hosts, same", GET("Host: us\r\n"), 400),
    ROW("B31 two hosts, different", GET("host: them\r\n"), 400),
    ROW("B32 host list", HOST("a,b"), 400),
    ROW("B32 host with space", HOST("a b"), 400),
    ROW("B32 host with user", HOST("user@a"), 400),
    ROW("B32 host with path", HOST("a/b"), 400),
    ROW("B32 empty host", HOST(""), 400),
    ROW("host with port", HOST("registry.local:32000"), ACCEPTED),
    ROW("host with a port of letters", HOST("us:x"), 400),
    ROW("host with six digits of port", HOST("us:123456"), 400),
    ROW("host with two ports", HOST("us:1:2"), 400),
    ROW("port without host", HOST(":80"), 400),
    ROW("IPv6 host", HOST("[::1]:32000"), ACCEPTED),
    ROW("IPv6 host that does not end", HOST("[::1"), 400),
    ROW("IPv6 host with more behind", HOST("[::1]x"), 400),
    ROW("empty IPv6 host", HOST("[]"), 400),
    ROW("B33 unknown host", HOST("evil.example"), ACCEPTED),
    ROW("B34 space before the colon", PUT("Content-Length : 3\r\n"), 400),
    ROW("B35 space before the first field", "GET /v2/ HTTP/1.1\r\n Host: us\r\n\r\n", 400),
    ROW("B35 tab before the first field", "GET /v2/ HTTP/1.1\r\n\tHost: us\r\n\r\n", 400),
    ROW("B36 folded line", GET("X: a\r\n b\r\n"), 400),
    ROW("B37 empty name", GET(": x\r\n"), 400),
    ROW("B38 no colon", GET("X\r\n"), 400),
    ROW("B39 space in a name", GET("X Y: z\r\n"), 400),
    ROW("B39 parenthesis in a name", GET("X(: z\r\n"), 400),
    ROW("B39 NUL in a name", GET("X\0: z\r\n"), 400),
    ROW("B39 0x80 in a name", GET("X\x80: z\r\n"), 400),
    ROW("B40 NUL in a value", GET("X: \0\r\n"), 400),
    ROW("B40 bare CR in a value", GET("X: a\rb\r\n"), 400),
    ROW("B40 0x01 in a value", GET("X: \x01\r\n"), 400),
    ROW("B40 0x08 in a value", GET("X: \x08\r\n"), 400),
    ROW("B40 DEL in a value", GET("X: \x7f\r\n"), 400),
    ROW("B41 obs-text in a value", GET("X: \x80\xff\r\n"), ACCEPTED),
    ROW("tab in a value", GET("X: a\tb\r\n"), ACCEPTED),
    ROW("empty value", GET("X:\r\n"), ACCEPTED),
    ROW("B46 hop-by-hop abuse", GET("Connection: close, Content-Length, Host\r\n"), ACCEPTED),
    ROW("B47 upgrade", GET("Connection: Upgrade\r\nUpgrade: h2c\r\n"), ACCEPTED),
    ROW("B49 expectation", PUT("Expect: 100-Continue\r\nContent-Length: 1\r\n"), ACCEPTED),
    ROW("B50 unknown expectation", PUT("Expect: 200-ok\r\nContent-Length: 1\r\n"), 417),
    ROW("B51 expectation in 1.0", "PUT / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n", ACCEPTED),
    ROW("B53 names that only look like framing",
        GET("Transfer_Encoding: chunked\r\nContent_Length: 5\r\n"), ACCEPTED),
};

static const struct row framing[] = {
    ROW("B60 length and chunked", PUT("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400),
    ROW("B60 chunked and length", PUT("transfer-encoding: CHUNKED\r\ncontent-length: 0\r\n"), 400),
    ROW("B61 two lengths", PUT("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
    ROW("B61 two equal lengths", PUT("Content-Length: 1\r\nContent-Length: 1\r\n"), 400),
    ROW("B61 list of equal lengths", CONTENT_LENGTH("5, 5"), 400),
    ROW("B61 list of lengths", CONTENT_LENGTH("5,6"), 400),
    ROW("B61 list that ends", CONTENT_LENGTH("5,"), 400),
    ROW("B62 plus", CONTENT_LENGTH("+5"), 400),
    ROW("B62 minus", CONTENT_LENGTH("-1"), 400),
    ROW("B62 minus zero", CONTENT_LENGTH("-0"), 400),
    ROW("B62 hex", CONTENT_LENGTH("0x5"), 400),
    ROW("B62 space inside", CONTENT_LENGTH("5 5"), 400),
    ROW("B62 underscore", CONTENT_LENGTH("1_0"), 400),
    ROW("B62 semicolon", CONTENT_LENGTH("5;"), 400),
    ROW("B62 wide digit", CONTENT_LENGTH("\xef\xbc\x95"), 400),
    ROW("B62 empty", CONTENT_LENGTH(""), 400),
    ROW("B62 blank", CONTENT_LENGTH(" "), 400),
    ROW("B63 leading zeros", CONTENT_LENGTH("00005"), 400),
    ROW("B63 octal", CONTENT_LENGTH("010"), 400),
    ROW("B64 2^63", CONTENT_LENGTH("9223372036854775808"), 400),
    ROW("B64 2^64-1", CONTENT_LENGTH("18446744073709551615"), 400),
    ROW("B64 a hundred digits",
        CONTENT_LENGTH("1000000000000000000000000000000000000000000000000000000000000000000000"),
        400),
    ROW("B65 2^63-1 is the handler's", CONTENT_LENGTH("9223372036854775807"), ACCEPTED),
    ROW("a length", CONTENT_LENGTH("5"), ACCEPTED),
    ROW("length zero", CONTENT_LENGTH("0"), ACCEPTED),
    ROW("B66 gzip", CODING("gzip"), 501),
    ROW("B66 identity", CODING("identity"), 501),
    ROW("B66 xchunked", CODING("xchunked"), 501),
    ROW("B66 chunkedx", CODING("chunkedx"), 501),
    ROW("B66 quoted", CODING("\"chunked\""), 400),
    ROW("B66 parameter", CODING("chunked;q=1"), 400),
    ROW("B67 gzip, chunked", CODING("gzip, chunked"), 501),
    ROW("B68 chunked, gzip", CODING("chunked, gzip"), 400),
    ROW("B68 chunked twice", CODING("chunked, chunked"), 400),
    ROW("B68 two fields", CODING("chunked\r\nTransfer-Encoding: chunked"), 400),
    ROW("B69 leading comma", CODING(",chunked"), 400),
    ROW("B69 trailing comma", CODING("chunked,"), 400),
    ROW("B69 trailing comma and space", CODING("chunked, "), 400),
    ROW("B69 empty", CODING(""), 400),
    ROW("B69 vertical tab",
        CODING("\x0b"
               "chunked"),
        400),
    ROW("B69 form feed",
        CODING("\x0c"
               "chunked"),
        400),
    ROW("B69 no-break space",
        CODING("\xa0"
               "chunked"),
        400),
    ROW("B69 NUL", CODING("chunked\0"), 400),
    ROW("B70 tab before", CODING("\tchunked"), ACCEPTED),
    ROW("B70 space behind", CODING("chunked "), ACCEPTED),
    ROW("B71 folded", CODING("\r\n chunked"), 400),
    ROW("B72 chunked in 1.0", "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ROW("B73 GET with a body", GET("Content-Length: 1\r\n"), 400),
    ROW("B73 GET with a chunked body", GET("Transfer-Encoding: chunked\r\n"), 400),
    ROW("B73 HEAD with a body", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400),
    ROW("B73 DELETE with a body", "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400),
    ROW("B73 OPTIONS with a body", "OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        400),
    ROW("GET with length zero", GET("Content-Length: 0\r\n"), ACCEPTED),
    ROW("B74 PUT without length", PUT(""), ACCEPTED),
};

/* What a parse comes to, comparable. */
struct outcome {
    int status; /* as in a row */
    const char *reason;
    size_t length;
};

static struct outcome parse(struct slice bytes, struct http_head *head)
{
    struct outcome outcome = {.status = MORE};
    struct http_refusal refusal = {0};

    switch (http_parse_head(bytes, &limits, head, &outcome.length, &refusal)) {
    case HTTP_MORE:
        break;
    case HTTP_HEAD:
        outcome.status = ACCEPTED;
        break;
    case HTTP_REFUSED:
        outcome.status = refusal.status;
        outcome.reason = refusal.reason;
        break;
    }
    return outcome;
}

/* The bytes in memory of their own, so that reading beyond them is noticed. */
static struct outcome parse_prefix(struct slice bytes, size_t length, struct http_head *head)
{
    char *copy = mem_alloc(length + 1);

    memcpy(copy, bytes.data, length);
    copy = mem_realloc(copy, length ? length : 1);
    struct outcome outcome = parse(slice_from(copy, length), head);
    mem_free(copy);
    return outcome;
}

static void check_row(const struct row *row)
{
    struct http_head head;
    struct outcome whole = parse(row->bytes, &head);

    if (whole.status != row->expected) {
        fail_msg("%s: %d instead of %d (%s)", row->name, whole.status, row->expected,
                 whole.reason ? whole.reason : "");
    }
    for (size_t length = 0; length <= row->bytes.length; length++) {
        struct outcome part = parse_prefix(row->bytes, length, &head);

        if (part.status == MORE)
            continue;
        if (part.status != whole.status || part.reason != whole.reason ||
            part.length != whole.length) {
            fail_msg("%s: %d after %zu bytes, %d at the end", row->name, part.status, length,
                     whole.status);
        }
    }
}

#define CHECK_ROWS(rows)                                                                           \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                  \
    check_row(&(rows)[i])

static void request_lines_are_judged_the_same_whole_and_in_pieces(void **state)
{
    (void)state;
    CHECK_ROWS(request_lines);
}

static void fields_are_judged_the_same_whole_and_in_pieces(void **state)
{
    (void)state;
    CHECK_ROWS(fields);
}

static void framing_is_judged_the_same_whole_and_in_pieces(void **state)
{
    (void)state;
    CHECK_ROWS(framing);
}

static void a_head_is_read_into_its_parts(void **state)
{
    (void)state;
    const char *text = "PATCH /v2/a/blobs/uploads/1?x=%20 HTTP/1.1\r\nHost: us:32000\r\n"
                       "Content-Length:  12\t\r\nX-A: one\r\nx-a: two\r\n\r\nbody";
    struct http_head head;
    struct outcome outcome = parse(slice_of(text), &head);
    assert_int_equal(outcome.status, ACCEPTED);
    assert_int_equal(outcome.length, strlen(text) - 4);
    assert_true(slice_is(head.method, "PATCH"));
    assert_true(slice_is(head.target, "/v2/a/blobs/uploads/1?x=%20"));
    assert_true(slice_is(head.host, "us:32000"));
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(head.content_length, 12);
    assert_true(head.keep_alive);
    assert_false(head.expects_continue);
    assert_int_equal(head.header_count, 4);
    assert_true(slice_is(*http_head_find(&head, "X-A"), "one"));
    assert_int_equal(http_head_count(&head, "x-A"), 2);
    assert_null(http_head_find(&head, "X-B"));
}

static void absolute_targets_are_cut_to_their_path(void **state)
{
    (void)state;
    struct http_head head;
    assert_int_equal(parse(slice_of(LINE("GET http://us/v2/x?y HTTP/1.1")), &head).status, 0);
    assert_true(slice_is(head.target, "/v2/x?y"));
    assert_int_equal(parse(slice_of(LINE("GET http://us HTTP/1.1")), &head).status, 0);
    assert_true(slice_is(head.target, "/"));
}

static bool is_kept(const char *text)
{
    struct http_head head;

    assert_int_equal(parse(slice_of(text), &head).status, ACCEPTED);
    return head.keep_alive;
}

static void keep_alive_follows_version_and_connection(void **state)
{
    (void)state;
    assert_true(is_kept(GET("")));
    assert_false(is_kept(GET("Connection: x, CLOSE\r\n")));
    assert_false(is_kept(GET("Connection: keep-alive\r\nConnection: close\r\n")));
    assert_false(is_kept("GET / HTTP/1.0\r\n\r\n"));
    assert_true(is_kept("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    assert_false(is_kept("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n"));
}

static void expectations_hold_in_1_1_only(void **state)
{
    (void)state;
    struct http_head head;
    (void)parse(slice_of(PUT("Expect: 100-continue\r\nContent-Length: 1\r\n")), &head);
    assert_true(head.expects_continue);
    (void)parse(slice_of("PUT / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), &head);
    assert_false(head.expects_continue);
}

/* before + count × byte + after */
static struct outcome parse_long(const char *before, size_t count, const char *after)
{
    struct http_head head;
    size_t start = strlen(before);
    char *text = mem_alloc(start + count + strlen(after) + 1);

    memcpy(text, before, start);
    memset(text + start, 'a', count);
    memcpy(text + start + count, after, strlen(after) + 1);
    struct outcome outcome = parse(slice_of(text), &head);
    mem_free(text);
    return outcome;
}

static void lines_names_and_values_have_limits(void **state)
{
    (void)state;
    const char *rest = " HTTP/1.1\r\nHost: us\r\n\r\n";
    const char *start = "GET / HTTP/1.1\r\nHost: us\r\n";
    assert_int_equal(parse_long("GET /", 8192 - 14, rest).status, ACCEPTED);
    assert_int_equal(parse_long("GET /", 8192 - 13, rest).status, 414);
    assert_int_equal(parse_long("", 8192, "").status, MORE);
    assert_int_equal(parse_long("", 8193, "").status, 400);
    assert_int_equal(parse_long("GET ", 8193, "").status, 414);
    assert_int_equal(parse_long(start, 256, ": x\r\n\r\n").status, ACCEPTED);
    assert_int_equal(parse_long(start, 257, ": x\r\n\r\n").status, 431);
    assert_int_equal(parse_long("GET / HTTP/1.1\r\nHost: us\r\nX: ", 16384, "\r\n\r\n").status, 0);
    assert_int_equal(parse_long("GET / HTTP/1.1\r\nHost: us\r\nX: ", 16385, "").status, 431);
}

static void range_has_a_limit_of_its_own(void **state)
{
    (void)state;
    const char *start = "GET / HTTP/1.1\r\nHost: us\r\nrange: ";
    const char *twice = "\r\nX: y\r\nRANGE: bytes=0-0\r\n\r\n";
    assert_int_equal(parse_long(start, 65536, "\r\n\r\n").status, ACCEPTED);
    assert_int_equal(parse_long(start, 65536, "").status, MORE);
    assert_int_equal(parse_long(start, 65537, "").status, 400);
    assert_int_equal(parse_long(start, 65537, "\r\n\r\n").status, 400);
    assert_int_equal(parse_long(start, 1, twice).status, 400);
    assert_int_equal(parse_long(start, 65536, twice).status, 400);
    assert_int_equal(parse_long("GET / HTTP/1.1\r\nHost: us\r\nRanges: ", 16385, "").status, 431);
}

/* A head of exactly `length` bytes, in fields of up to 1,000 bytes. */
static char *make_head_of(size_t length, unsigned extra_fields)
{
    char *text = mem_alloc(length + 1024 + extra_fields * 8U);
    size_t at = (size_t)(stpcpy(text, "GET / HTTP/1.1\r\nHost: us\r\n") - text);

    for (unsigned i = 0; i < extra_fields; i++)
        at += (size_t)(stpcpy(text + at, "a: b\r\n") - (text + at));
    while (at + 2 < length) {
        size_t left = length - 2 - at;
        size_t field = left > 2000 ? 1000 : left;

        memcpy(text + at, "x:", 2);
        memset(text + at + 2, 'y', field - 4);
        memcpy(text + at + field - 2, "\r\n", 2);
        at += field;
    }
    memcpy(text + at, "\r\n", 3);
    return text;
}

static void heads_have_limits_of_size_and_count(void **state)
{
    (void)state;
    struct http_head head;
    char *text = make_head_of(32 * 1024, 0);
    assert_int_equal(parse(slice_of(text), &head).status, ACCEPTED);
    mem_free(text);
    text = make_head_of(32 * 1024 + 1, 0);
    assert_int_equal(parse(slice_of(text), &head).status, 431);
    mem_free(text);
    text = make_head_of(0, 99);
    assert_int_equal(parse(slice_of(text), &head).status, ACCEPTED);
    assert_int_equal(head.header_count, 100);
    mem_free(text);
    text = make_head_of(0, 100);
    assert_int_equal(parse(slice_of(text), &head).status, 431);
    mem_free(text);
}

/* `text` with a field after its second line. */
static char *insert_field(const char *text, const char *name, size_t length)
{
    size_t at = strlen("GET / HTTP/1.1\r\nHost: us\r\n");
    char *out = mem_alloc(strlen(text) + strlen(name) + length + 3);
    char *end = stpcpy(mempcpy(out, text, at), name);

    memset(end, '1', length);
    (void)stpcpy(stpcpy(end + length, "\r\n"), text + at);
    return out;
}

static void value_of_range_does_not_count_as_the_heads(void **state)
{
    (void)state;
    static const struct {
        size_t head;  /* with the name of Range and its line's end */
        size_t range; /* its value */
        int status;
    } rows[] = {
        {32768, 0, ACCEPTED}, {32768, 65536, ACCEPTED}, {32769, 0, 431},     {32769, 65536, 431},
        {32769, 1, 431},      {32768, 65537, 400},      {40000, 40000, 431},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_head head;
        char *bare = make_head_of(rows[i].head - strlen("Range:\r\n"), 0);
        char *text = insert_field(bare, "Range:", rows[i].range);

        assert_int_equal(parse(slice_of(text), &head).status, rows[i].status);
        mem_free(bare);
        mem_free(text);
    }
}

/* Blanks around a value are the head's: they neither stretch it, nor lead the parser past its end.
 */
static void blanks_around_a_range_count_as_the_heads(void **state)
{
    (void)state;
    static const struct {
        size_t before; /* blanks */
        size_t after;
        const char *rest; /* of the bytes that have come */
        int status;
    } rows[] = {
        {100, 100, "\r\n\r\n", ACCEPTED}, {40000, 0, "\r\n\r\n", 431},
        {40000, 0, "\r\n", 431},          {40000, 0, "\r\na", 431},
        {0, 40000, "\r\n", 431},          {20000, 20000, "\r\na: b\r\n\r\n", 431},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t before = rows[i].before;
        size_t after = rows[i].after;
        struct http_head head;
        AUTO_BUF struct buf text;

        buf_init(&text, 128 * 1024);
        buf_append_text(&text, "GET / HTTP/1.1\r\nHost: us\r\nRange:");
        for (; before > 0; before--)
            buf_append_byte(&text, ' ');
        buf_append_text(&text, "bytes=0-0");
        for (; after > 0; after--)
            buf_append_byte(&text, '\t');
        buf_append_text(&text, rows[i].rest);
        assert_int_equal(parse(buf_bytes(&text), &head).status, rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_lines_are_judged_the_same_whole_and_in_pieces),
        cmocka_unit_test(fields_are_judged_the_same_whole_and_in_pieces),
        cmocka_unit_test(framing_is_judged_the_same_whole_and_in_pieces),
        cmocka_unit_test(a_head_is_read_into_its_parts),
        cmocka_unit_test(absolute_targets_are_cut_to_their_path),
        cmocka_unit_test(keep_alive_follows_version_and_connection),
        cmocka_unit_test(expectations_hold_in_1_1_only),
        cmocka_unit_test(lines_names_and_values_have_limits),
        cmocka_unit_test(range_has_a_limit_of_its_own),
        cmocka_unit_test(heads_have_limits_of_size_and_count),
        cmocka_unit_test(value_of_range_does_not_count_as_the_heads),
        cmocka_unit_test(blanks_around_a_range_count_as_the_heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
