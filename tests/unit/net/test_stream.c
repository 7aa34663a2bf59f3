/* SPDX-License-Identifier: Apache-2.0 */
/* A connection over a stream that needs a handshake and keeps bytes inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "fakes/stream.h"
#include "net/loop.h"
#include "server_fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: us\r\n\r\n"

static const struct fake_stream_plan usual = {.handshake = FAKE_HANDSHAKE_WORKS, .steps = 4};

static int setup(void **state)
{
    fake_stream_plan = usual;
    return fixture_setup(state);
}

static int teardown(void **state)
{
    int rc = fixture_teardown(state);

    assert_int_equal(fake_streams_open(), 0);
    fake_stream_plan = usual;
    return rc;
}

/* The fixture's client, once more. */
static void connect_again(struct fixture *f, enum fake_handshake handshake)
{
    fd_close(&f->client);
    fixture_run(f);
    fake_stream_plan.handshake = handshake;
    f->client = fixture_connect(f);
}

static void a_failed_handshake_closes_and_is_no_request(void **state)
{
    struct fixture *f = *state;

    connect_again(f, FAKE_HANDSHAKE_FAILS);
    assert_int_equal(http_server_connections(f->server), 1);
    assert_string_equal(fixture_talk(f, GET("/hello")), "");
    assert_true(f->is_ended || f->is_reset);
    assert_int_equal(f->requests, 0);
    assert_int_equal(f->refused, 0);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void a_handshake_that_does_not_end_has_a_deadline(void **state)
{
    struct fixture *f = *state;

    connect_again(f, FAKE_HANDSHAKE_HANGS);
    (void)fixture_talk(f, "x");
    fixture_wait(f, 4999);
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_wait(f, 2);
    assert_int_equal(http_server_connections(f->server), 0);
    assert_int_equal(f->requests, 0);
}

static void after_the_handshake_the_idle_time_begins(void **state)
{
    struct fixture *f = *state;

    fixture_wait(f, 74999);
    assert_false(f->is_ended);
    fixture_wait(f, 2);
    assert_true(f->is_ended);
}

static void a_server_may_end_during_a_handshake(void **state)
{
    struct fixture *f = *state;

    connect_again(f, FAKE_HANDSHAKE_HANGS);
    fixture_run(f);
    http_server_drain(f->server);
    fixture_run(f);
    http_server_free(&f->server);
    assert_int_equal(fake_streams_open(), 0);
}

static void one_client_too_many_is_told_after_the_handshake(void **state)
{
    struct fixture *f = *state;
    int second = fixture_connect(f);
    int third = fixture_connect(f);

    fixture_run(f);
    int first = f->client;
    f->client = fixture_connect(f);
    assert_int_equal(f->refused, 0);
    assert_memory_equal(fixture_talk(f, ""), "HTTP/1.1 503", 12);
    assert_true(f->is_ended);
    fd_close(&first);
    fd_close(&second);
    fd_close(&third);
}

/* All of it is inside the stream after the first receive: the socket has no more events. */
static void requests_inside_the_stream_are_answered(void **state)
{
    struct fixture *f = *state;
    AUTO_BUF struct buf requests;

    buf_init(&requests, 16000);
    for (int i = 0; i < 100; i++)
        buf_append_text(&requests, GET("/hello"));
    assert_int_equal(count_of(fixture_talk(f, buf_text(&requests)), "hello"), 100);
    assert_false(f->is_ended);
}

static void an_end_behind_bytes_inside_the_stream_is_seen(void **state)
{
    struct fixture *f = *state;

    fixture_run(f);
    fixture_send(f, GET("/hello"));
    (void)shutdown(f->client, SHUT_WR);
    assert_int_equal(count_of(fixture_talk(f, ""), "hello"), 1);
    assert_true(f->is_ended);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void half_a_continue_is_finished_before_a_refusal(void **state)
{
    struct fixture *f = *state;

    fixture_send(f, "PUT /body HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n"
                    "Expect: 100-continue\r\n\r\n");
    for (int waiting = 0; waiting == 0;) {
        loop_turn(f->loop, 0);
        assert_int_equal(ioctl(f->client, FIONREAD, &waiting), 0);
        assert_true(waiting < 25);
    }
    const char *answer = fixture_talk(f, "no chunk\r\n");
    assert_memory_equal(answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400", 37);
    assert_int_equal(f->last_end, HTTP_END_REFUSED);
}

static void a_body_inside_the_stream_is_not_slow(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 3000\r\n\r\n");
    fixture_wait(f, 20000);
    (void)fixture_talk(f, "x");
    fixture_wait(f, 12000); /* 2 s beyond the grace: 2,048 bytes are due */
    char piece[2100];
    memset(piece, 'x', sizeof(piece) - 1);
    piece[sizeof(piece) - 1] = '\0';
    (void)fixture_talk(f, piece);
    assert_int_equal(f->done, 0);
    assert_non_null(strstr(fixture_talk(f, piece), "201 Created"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failed_handshake_closes_and_is_no_request),
        TEST(a_handshake_that_does_not_end_has_a_deadline),
        TEST(after_the_handshake_the_idle_time_begins),
        TEST(a_server_may_end_during_a_handshake),
        TEST(one_client_too_many_is_told_after_the_handshake),
        TEST(requests_inside_the_stream_are_answered),
        TEST(an_end_behind_bytes_inside_the_stream_is_seen),
        TEST(half_a_continue_is_finished_before_a_refusal),
        TEST(a_body_inside_the_stream_is_not_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
