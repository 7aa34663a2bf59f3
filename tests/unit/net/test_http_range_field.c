/* SPDX-License-Identifier: Apache-2.0 */
/* A Range field of many KiB: it is read whole, however it comes, and is gone when it is dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "server_fixture.h"

#define LENGTH ((size_t)60 * 1024)

static const char head_before[] = "GET /later HTTP/1.1\r\nHost: us\r\nAccept: a/b\r\nRange: bytes=";
static const char head_after[] = "\r\nIf-Range: \"x\"\r\nAccept: c/d\r\n\r\n";

/* The head of a request with a Range of `length` bytes and its "bytes=". */
static void print_head(struct buf *out, size_t length)
{
    buf_init(out, 1024UL * 1024);
    buf_append_text(out, head_before);
    for (size_t i = 0; i < length; i++)
        buf_append_byte(out, i % 2 ? '1' : ',');
    buf_append_text(out, head_after);
}

static void expect_fields(const struct fixture *f, size_t length)
{
    const struct http_head *head = f->head;

    assert_true(slice_is(head->method, "GET"));
    assert_true(slice_is(head->target, "/later"));
    assert_true(slice_is(head->host, "us"));
    assert_int_equal(head->header_count, 5);
    assert_true(slice_is(head->headers[0].value, "us"));
    assert_true(slice_is(head->headers[1].value, "a/b"));
    assert_true(slice_is(head->headers[2].name, "Range"));
    assert_int_equal(head->headers[2].value.length, length);
    assert_true(slice_is(head->headers[3].name, "If-Range"));
    assert_true(slice_is(head->headers[3].value, "\"x\""));
    assert_true(slice_is(head->headers[4].value, "c/d"));
}

static void expect_kept_and_dropped(struct fixture *f, size_t length)
{
    const struct http_response response = {.status = 200};

    assert_non_null(f->later);
    expect_fields(f, length + strlen("bytes="));
    assert_true(slice_starts_with(f->head->headers[2].value, "bytes=,1,1"));
    assert_true(slice_ends_with(f->head->headers[2].value, "1,1"));
    http_conn_drop_range(f->later);
    expect_fields(f, 0);
    http_conn_drop_range(f->later);
    http_conn_respond(f->later, &response, SLICE_LITERAL("ok"));
    assert_int_equal(count_of(fixture_talk(f, ""), "200 OK"), 1);
}

static void a_long_range_is_read_whole_and_dropped(void **state)
{
    struct fixture *f = *state;

    for (int times = 0; times < 2; times++) { /* on one connection */
        struct buf text;

        print_head(&text, LENGTH);
        fixture_send(f, buf_text(&text));
        fixture_run(f);
        buf_cleanup(&text);
        expect_kept_and_dropped(f, LENGTH);
    }
}

static void a_long_range_may_come_in_pieces(void **state)
{
    struct fixture *f = *state;
    struct buf text;

    print_head(&text, LENGTH);
    for (size_t at = 0; at < text.length; at += 1000) {
        char piece[1001] = "";

        strncpy(piece, buf_text(&text) + at, 1000);
        assert_string_equal(fixture_talk(f, piece), "");
    }
    buf_cleanup(&text);
    expect_kept_and_dropped(f, LENGTH);
}

static void a_short_range_stays(void **state)
{
    struct fixture *f = *state;
    struct buf text;

    print_head(&text, 2);
    assert_string_equal(fixture_talk(f, buf_text(&text)), "");
    buf_cleanup(&text);
    expect_fields(f, 8);
    http_conn_drop_range(f->later);
    expect_fields(f, 8);
}

static void a_long_range_of_a_client_that_left_is_freed(void **state)
{
    struct fixture *f = *state;
    struct buf text;

    print_head(&text, LENGTH);
    fixture_send(f, buf_text(&text));
    fixture_run(f);
    buf_cleanup(&text);
    assert_non_null(f->later);
}

static void a_range_over_its_limit_is_answered_400(void **state)
{
    struct fixture *f = *state;
    struct buf text;

    print_head(&text, (size_t)80 * 1024);
    fixture_send(f, buf_text(&text));
    fixture_run(f);
    buf_cleanup(&text);
    assert_int_equal(f->refused, 400);
    assert_null(f->later);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_long_range_is_read_whole_and_dropped),
        TEST(a_long_range_may_come_in_pieces),
        TEST(a_short_range_stays),
        TEST(a_long_range_of_a_client_that_left_is_freed),
        TEST(a_range_over_its_limit_is_answered_400),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
