/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life: requests, answers, bodies, ends and time limits, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "net/loop.h"
#include "server_fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: us\r\n\r\n"

static void a_whole_answer_has_date_length_and_the_handlers_headers(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(fixture_talk(f, GET("/hello")),
                        "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nX-Test: yes\r\n"
                        "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(f->done, 1);
    assert_int_equal(f->last_end, HTTP_END_SENT);
}

static void a_connection_is_kept_for_the_next_request(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, GET("/hello"));
    assert_non_null(strstr(fixture_talk(f, GET("/hello")), "hello"));
    assert_false(f->is_ended);
    assert_int_equal(http_server_connections(f->server), 1);
    assert_int_equal(f->done, 2);
}

static void a_hundred_pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++)
        fixture_send(f, i % 2 ? GET("/hello") : GET("/early"));
    const char *answers = fixture_talk(f, "");
    assert_int_equal(count_of(answers, "HTTP/1.1 "), 100);
    assert_int_equal(count_of(answers, "X-Test: yes\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 403"),
                     49);
}

static void a_request_sent_byte_by_byte_is_answered(void **state)
{
    struct fixture *f = *state;
    const char *request = GET("/hello");

    for (size_t i = 0; request[i + 1]; i++) {
        assert_int_equal(send(f->client, request + i, 1, 0), 1);
        assert_string_equal(fixture_talk(f, ""), "");
    }
    assert_non_null(strstr(fixture_talk(f, "\n"), "hello"));
}

static void head_requests_get_the_length_and_no_body(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(f, "HEAD /hello HTTP/1.1\r\nHost: us\r\n\r\n");

    assert_non_null(strstr(answer, "Content-Length: 5\r\n"));
    assert_null(strstr(answer, "hello"));
    assert_non_null(strstr(fixture_talk(f, GET("/hello")), "hello"));
}

static void an_unknown_length_is_chunked(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(f, GET("/pieces"));

    assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n\r\n"
                                   "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"));
    assert_int_equal(f->drained, 2);
    assert_int_equal(f->last_end, HTTP_END_SENT);
    assert_false(f->is_ended);
}

static void an_unknown_length_ends_with_the_connection_in_1_0(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(f, "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

    assert_non_null(strstr(answer, "Connection: close\r\n\r\nabcd"));
    assert_true(f->is_ended);
}

/* A client that does not read: the handler is asked for no more than the kernel takes. */
static void an_answer_of_unknown_length_waits_for_its_client(void **state)
{
    struct fixture *f = *state;

    fixture_send(f, GET("/stream"));
    fixture_run(f);
    size_t left = f->pieces_left;
    assert_true(left > STREAM_PIECES - 100);
    fixture_pass(f, 30000);
    assert_int_equal(f->pieces_left, left);
    (void)fixture_talk(f, "");
    assert_int_equal(f->last_end, HTTP_END_SENT);
    struct slice all = buf_bytes(&f->received);
    assert_true(slice_ends_with(all, "\r\n0\r\n\r\n"));
    assert_true(all.length >
                STREAM_PIECE * STREAM_PIECES + STREAM_PIECES * strlen("10000\r\n\r\n"));
    assert_non_null(strstr(fixture_talk(f, GET("/hello")), "hello"));
}

static void an_answer_of_unknown_length_to_1_0_ends_with_the_connection(void **state)
{
    struct fixture *f = *state;

    fixture_send(f, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    (void)fixture_talk(f, "");
    struct slice all = buf_bytes(&f->received);
    const char *end = strstr(buf_text(&f->received), "\r\n\r\n");
    assert_non_null(end);
    assert_int_equal(all.length - (size_t)(end + 4 - all.data), STREAM_PIECE * STREAM_PIECES);
    assert_true(f->is_ended);
}

static void http_1_0_is_kept_only_when_asked(void **state)
{
    struct fixture *f = *state;
    const char *kept = fixture_talk(f, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

    assert_non_null(strstr(kept, "Connection: keep-alive\r\n"));
    assert_false(f->is_ended);
    const char *closed = fixture_talk(f, "GET /hello HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(closed, "Connection: close\r\n"));
    assert_true(f->is_ended);
}

static void what_follows_a_last_request_is_never_answered(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(
        f, "GET /hello HTTP/1.1\r\nHost: us\r\nConnection: close\r\n\r\n" GET("/hello"));

    assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    assert_int_equal(f->requests, 1);
    assert_true(f->is_ended);
}

static void a_handler_may_answer_later(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(fixture_talk(f, GET("/later") GET("/hello")), "");
    assert_int_equal(f->requests, 1);
    assert_int_equal(f->done, 0);
    struct http_response response = {.status = 404};
    http_conn_respond(f->later, &response, SLICE_LITERAL("gone"));
    assert_int_equal(f->done, 0); /* never from inside the call */
    const char *answers = fixture_talk(f, "");
    assert_non_null(strstr(answers, "404 Not Found"));
    assert_non_null(strstr(answers, "goneHTTP/1.1 200 OK"));
}

static void a_half_closed_client_still_gets_its_answer(void **state)
{
    struct fixture *f = *state;

    fixture_send(f, GET("/later"));
    (void)shutdown(f->client, SHUT_WR);
    (void)fixture_talk(f, "");
    struct http_response response = {.status = 200};
    http_conn_respond(f->later, &response, SLICE_LITERAL("late"));
    assert_non_null(strstr(fixture_talk(f, ""), "late"));
    assert_true(f->is_ended);
}

static void no_content_and_not_modified_have_no_length(void **state)
{
    struct fixture *f = *state;
    const int statuses[] = {204, 304};

    for (size_t i = 0; i < 2; i++) {
        (void)fixture_talk(f, GET("/later"));
        struct http_response response = {.status = statuses[i]};
        http_conn_respond(f->later, &response, SLICE_LITERAL("never sent"));
        const char *answer = fixture_talk(f, "");
        assert_null(strstr(answer, "Content-Length"));
        assert_null(strstr(answer, "never"));
    }
}

static void a_body_is_read_by_pull(void **state)
{
    struct fixture *f = *state;

    f->room_size = 4;
    const char *answer = fixture_talk(
        f, "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 10\r\n\r\n0123456789" GET("/hello"));
    assert_non_null(strstr(answer, "201 Created"));
    assert_non_null(strstr(answer, "0123456789HTTP/1.1 200 OK"));
    assert_int_equal(f->body_calls, 3);
    assert_null(strstr(answer, "Continue"));
}

static void a_body_may_come_byte_by_byte(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 3\r\n\r\n");
    (void)fixture_talk(f, "a");
    (void)fixture_talk(f, "b");
    assert_non_null(strstr(fixture_talk(f, "c"), "\r\n\r\nabc"));
}

static void a_chunked_body_is_decoded_and_the_next_request_found(void **state)
{
    struct fixture *f = *state;

    for (size_t room = 1; room < 12; room++) {
        f->room_size = room;
        buf_clear(&f->body);
        const char *answer =
            fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "3;x=y\r\nabc\r\n5\r\ndefgh\r\n0\r\nT: 1\r\n\r\n" GET("/hello"));
        assert_non_null(strstr(answer, "\r\n\r\nabcdefghHTTP/1.1 200 OK"));
    }
}

static void a_chunked_body_may_come_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    const char *body = "3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r";

    (void)fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; body[i]; i++) {
        assert_int_equal(send(f->client, body + i, 1, 0), 1);
        assert_string_equal(fixture_talk(f, ""), "");
    }
    assert_non_null(strstr(fixture_talk(f, "\n"), "\r\n\r\nabcdefgh"));
}

static void a_malformed_chunk_is_answered_400_and_the_handler_told(void **state)
{
    struct fixture *f = *state;
    const char *answer =
        fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3\r\nabcX\r\n" GET("/hello"));

    assert_non_null(strstr(answer, "HTTP/1.1 400"));
    assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    assert_int_equal(f->last_end, HTTP_END_REFUSED);
    assert_false(f->is_body_whole);
    assert_int_equal(f->requests, 1);
    assert_true(f->is_ended);
}

static void continue_is_sent_when_the_body_is_asked_for(void **state)
{
    struct fixture *f = *state;
    const char *head = "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 2\r\n"
                       "Expect: 100-continue\r\n\r\n";

    assert_string_equal(fixture_talk(f, head), "HTTP/1.1 100 Continue\r\n\r\n");
    const char *answer = fixture_talk(f, "ab");
    assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    assert_non_null(strstr(answer, "HTTP/1.1 201 Created"));
    assert_false(f->is_ended);
}

static void a_client_that_does_not_wait_gets_no_continue(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 2\r\n"
                                         "Expect: 100-continue\r\n\r\nab");

    assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    assert_non_null(strstr(answer, "HTTP/1.1 201 Created"));
}

static void an_answer_instead_of_continue_closes(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(f, "PUT /early HTTP/1.1\r\nHost: us\r\nContent-Length: 2\r\n"
                                         "Expect: 100-continue\r\n\r\n");

    assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
    assert_non_null(strstr(answer, "HTTP/1.1 403 Forbidden"));
    assert_non_null(strstr(answer, "Connection: close"));
    assert_true(f->is_ended);
}

static void an_early_answer_lingers_for_what_still_comes(void **state)
{
    struct fixture *f = *state;

    fixture_use_tcp(f);
    const char *answer =
        fixture_talk(f, "PUT /early HTTP/1.1\r\nHost: us\r\nContent-Length: 100000\r\n\r\nsome");
    assert_non_null(strstr(answer, "403"));
    assert_true(f->is_ended);
    (void)fixture_talk(f, "and some more that is read and forgotten");
    assert_false(f->is_reset);
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_wait(f, 1999);
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_wait(f, 2);
    fixture_run(f);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void lingering_reads_no_more_than_64_kib(void **state)
{
    struct fixture *f = *state;
    char *much = mem_zalloc(1, 80 * 1024 + 1);

    memset(much, 'x', 80 * 1024);
    (void)fixture_talk(f, "PUT /early HTTP/1.1\r\nHost: us\r\nContent-Length: 100000\r\n\r\n");
    assert_int_equal(http_server_connections(f->server), 1);
    (void)fixture_talk(f, much);
    assert_int_equal(http_server_connections(f->server), 0);
    mem_free(much);
}

static void a_client_that_leaves_in_its_body_is_forgotten_at_once(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 10\r\n\r\nabc");
    (void)shutdown(f->client, SHUT_WR);
    fixture_run(f);
    assert_int_equal(f->last_end, HTTP_END_GONE);
    assert_true(slice_is(buf_bytes(&f->body), "abc"));
    assert_false(f->is_body_whole);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void a_reset_is_noticed_while_the_handler_works(void **state)
{
    struct fixture *f = *state;

    fixture_use_tcp(f);
    (void)fixture_talk(f, GET("/later"));
    struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(f->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    fd_close(&f->client);
    fixture_run(f);
    assert_int_equal(f->last_end, HTTP_END_GONE);
    assert_int_equal(f->done, 1);
}

static void a_file_is_sent_whole(void **state)
{
    struct fixture *f = *state;

    fixture_make_file(f, 3 * 1000 * 1000 + 1);
    (void)fixture_talk(f, GET("/file"));
    for (int i = 0; i < 100 && f->done == 0; i++) {
        AUTO_BUF struct buf so_far;

        buf_init(&so_far, f->received.maximum);
        buf_append_slice(&so_far, buf_bytes(&f->received));
        (void)fixture_talk(f, "");
        buf_append_slice(&so_far, buf_bytes(&f->received));
        buf_clear(&f->received);
        buf_append_slice(&f->received, buf_bytes(&so_far));
    }
    assert_int_equal(f->last_end, HTTP_END_SENT);
    const char *all = buf_text(&f->received);
    const char *body = strstr(all, "\r\n\r\n") + 4;
    assert_non_null(strstr(all, "Content-Length: 3000001\r\n"));
    assert_int_equal(f->received.length - (size_t)(body - all), f->file_size);
    assert_memory_equal(body, "begin", 5);
    assert_memory_equal(all + f->received.length - 3, "end", 3);
}

static void a_file_is_sent_in_windows_one_a_turn(void **state)
{
    struct fixture *f = *state;
    const int room = 4 * 1024 * 1024;

    fixture_use_tcp(f);
    fixture_make_file(f, 4000 * 1000);
    assert_int_equal(setsockopt(f->client, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    fixture_send(f, GET("/file"));
    int before = 0;
    for (size_t turns = 0; turns < 3;) { /* in which something was sent */
        int waiting = 0;

        loop_turn(f->loop, 0);
        assert_int_equal(ioctl(f->client, FIONREAD, &waiting), 0);
        assert_true(waiting - before < 1024 * 1024 + 200);
        turns += waiting > before;
        before = waiting;
    }
    for (int i = 0; i < 100 && f->done == 0; i++)
        (void)fixture_talk(f, "");
    assert_int_equal(f->last_end, HTTP_END_SENT);
}

static void parts_of_a_file_wait_for_their_turns_too(void **state)
{
    struct fixture *f = *state;

    fixture_use_tcp(f);
    fixture_make_file(f, 500 * 1000);
    fixture_send(f, GET("/parts"));
    for (unsigned before = 0; before < 2; before = f->drained) {
        loop_turn(f->loop, 0);
        assert_true(f->drained <= before + 1);
    }
    (void)fixture_talk(f, "");
    assert_int_equal(f->drained, 5);
    assert_int_equal(f->last_end, HTTP_END_SENT);
}

static void a_file_shorter_than_promised_resets(void **state)
{
    struct fixture *f = *state;

    fixture_use_tcp(f);
    fixture_make_file(f, 1000);
    f->file_size = 2000;
    (void)fixture_talk(f, GET("/file"));
    assert_int_equal(f->last_end, HTTP_END_ABORTED);
    assert_true(f->is_reset);
}

static void an_abort_resets(void **state)
{
    struct fixture *f = *state;

    fixture_use_tcp(f);
    (void)fixture_talk(f, GET("/abort"));
    assert_int_equal(f->last_end, HTTP_END_ABORTED);
    assert_true(f->is_reset);
}

static void an_answer_that_ends_short_resets(void **state)
{
    struct fixture *f = *state;

    fixture_use_tcp(f);
    (void)fixture_talk(f, GET("/short"));
    assert_int_equal(f->last_end, HTTP_END_ABORTED);
    assert_true(f->is_reset);
}

static void a_large_answer_to_a_slow_client_is_kept_for_it(void **state)
{
    struct fixture *f = *state;
    char *large = mem_zalloc(1, 4 * 1024 * 1024);

    memset(large, 'x', 4 * 1024 * 1024);
    (void)fixture_talk(f, GET("/later"));
    struct http_response response = {.status = 200};
    http_conn_respond(f->later, &response, slice_from(large, 4 * 1024 * 1024));
    mem_free(large);
    size_t total = 0;
    for (int i = 0; i < 200 && f->done == 0; i++) {
        (void)fixture_talk(f, "");
        total += f->received.length;
    }
    (void)fixture_talk(f, "");
    total += f->received.length;
    assert_int_equal(f->last_end, HTTP_END_SENT);
    assert_true(total > 4 * 1024 * 1024);
}

static void a_tls_hello_is_answered_in_plain_words(void **state)
{
    struct fixture *f = *state;

    fixture_use_tcp(f);
    const char *answer = fixture_talk(f, "\x16\x03\x01\x02");
    assert_memory_equal(answer, "HTTP/1.1 400", 12);
    assert_int_equal(f->refused, 400);
    assert_int_equal(f->requests, 0);
    (void)fixture_talk(f, "the rest of the hello");
    assert_false(f->is_reset);
    assert_true(f->is_ended);
}

static void nothing_behind_a_refused_head_is_a_request(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(f, GET("/hello") "GET\r\n\r\n" GET("/hello"));

    assert_int_equal(count_of(answer, "HTTP/1.1 200"), 1);
    assert_int_equal(count_of(answer, "HTTP/1.1 400"), 1);
    assert_int_equal(f->requests, 1);
    assert_true(f->is_ended);
}

static void a_refused_head_request_has_no_body(void **state)
{
    struct fixture *f = *state;
    const char *answer = fixture_talk(f, "HEAD /hello HTTP/1.1\r\n\r\n");
    const char *end = strstr(answer, "\r\n\r\n");

    assert_memory_equal(answer, "HTTP/1.1 400", 12);
    assert_non_null(end);
    assert_string_equal(end, "\r\n\r\n");
}

static void assert_no_body(const char *answer, int status)
{
    char line[16];

    (void)snprintf(line, sizeof(line), "HTTP/1.1 %d", status);
    assert_memory_equal(answer, line, strlen(line));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void a_refused_head_request_behind_a_line_end_has_no_body(void **state)
{
    struct fixture *f = *state;

    assert_no_body(fixture_talk(f, "\r\nHEAD /hello HTTP/1.1\r\n\r\n"), 400);
}

static void a_slow_head_request_has_no_body(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "HEAD /hello HTTP/1.1\r\nHo");
    fixture_wait(f, 10001);
    assert_no_body(buf_text(&f->received), 408);
}

static void a_slow_head_is_answered_408(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 4; i++) {
        assert_string_equal(fixture_talk(f, i ? "X: y\r\n" : "GET /hello HTTP/1.1\r\n"), "");
        fixture_wait(f, 2499);
        assert_false(f->is_ended);
    }
    fixture_wait(f, 10);
    assert_memory_equal(buf_text(&f->received), "HTTP/1.1 408", 12);
    assert_true(f->is_ended);
    assert_int_equal(f->refused, 408);
}

static void a_silent_body_is_answered_408(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 10\r\n\r\n");
    fixture_wait(f, 20000);
    (void)fixture_talk(f, "abc");
    fixture_wait(f, 29999);
    assert_int_equal(f->done, 0);
    buf_clear(&f->received);
    fixture_wait(f, 2);
    assert_memory_equal(buf_text(&f->received), "HTTP/1.1 408", 12);
    assert_int_equal(f->last_end, HTTP_END_REFUSED);
    assert_true(f->is_ended);
}

static void a_body_that_dribbles_is_answered_408(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "PUT /body HTTP/1.1\r\nHost: us\r\nContent-Length: 9999\r\n\r\n");
    fixture_wait(f, 20000);
    (void)fixture_talk(f, "a");
    fixture_wait(f, 10900); /* 0.9 s beyond the grace: 921 bytes are due */
    char *due = mem_zalloc(1, 921);
    memset(due, 'b', 920);
    (void)fixture_talk(f, due);
    mem_free(due);
    assert_int_equal(f->done, 0);
    fixture_wait(f, 200);
    buf_clear(&f->received);
    assert_memory_equal(fixture_talk(f, "c"), "HTTP/1.1 408", 12);
    assert_int_equal(f->last_end, HTTP_END_REFUSED);
    assert_true(f->is_ended);
}

static void time_in_which_nobody_reads_is_not_the_clients(void **state)
{
    struct fixture *f = *state;
    char head[] = "PUT /later HTTP/1.1\r\nHost: us\r\nContent-Length: 3\r\n\r\n";

    (void)fixture_talk(f, head);
    fixture_wait(f, 100000);
    http_conn_read_body(f->later, f->room, f->room_size);
    (void)fixture_talk(f, "a");
    fixture_wait(f, 1000);
    assert_non_null(strstr(fixture_talk(f, "bc"), "HTTP/1.1 201"));
}

static void a_bad_head_is_answered_at_its_bad_byte(void **state)
{
    struct fixture *f = *state;
    static const char *const pieces[] = {"GET ", "/", " HTTP/1.1", "\r", "X"};

    for (unsigned i = 0; i < 4; i++)
        assert_string_equal(fixture_talk(f, pieces[i]), "");
    assert_memory_equal(fixture_talk(f, pieces[4]), "HTTP/1.1 400", 12);
}

static void a_line_end_and_nothing_behind_it_is_no_head(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, GET("/hello"));
    assert_string_equal(fixture_talk(f, "\r\n"), "");
    fixture_wait(f, 10001);
    assert_true(f->is_ended);
    assert_int_equal(f->received.length, 0);
    assert_int_equal(f->refused, 0);
}

static void an_idle_connection_is_closed_after_its_time(void **state)
{
    struct fixture *f = *state;

    fixture_wait(f, 50000);
    (void)fixture_talk(f, GET("/hello"));
    fixture_wait(f, 74999);
    assert_false(f->is_ended);
    fixture_wait(f, 2);
    assert_true(f->is_ended);
    assert_int_equal(f->refused, 0);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void a_shorter_timeout_is_not_delayed_by_older_ones(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, GET("/hello"));
    f->settings.keep_alive_timeout_ms = 10000;
    http_server_set_settings(f->server, &f->settings);
    fixture_wait(f, 1000);
    int newer = fixture_connect(f);
    fixture_wait(f, 9001);
    assert_true(f->is_ended);
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_wait(f, 1000);
    assert_int_equal(http_server_connections(f->server), 0);
    fd_close(&newer);
}

static void a_client_that_takes_nothing_is_reset(void **state)
{
    struct fixture *f = *state;

    fixture_make_file(f, 8 * 1000 * 1000);
    fixture_send(f, GET("/file"));
    fixture_run(f);
    assert_int_equal(f->done, 0);
    fixture_pass(f, 59999);
    assert_int_equal(f->done, 0);
    fixture_pass(f, 2);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->last_end, HTTP_END_GONE);
    assert_int_equal(http_server_connections(f->server), 0);
}

/* Read some of what came, as a slow client does. */
static size_t take(struct fixture *f, size_t most)
{
    char *room = mem_alloc(most);
    ssize_t got = recv(f->client, room, most, MSG_DONTWAIT);

    mem_free(room);
    return got > 0 ? (size_t)got : 0;
}

static int count_queued(const struct fixture *f)
{
    int count = 0;

    assert_int_equal(ioctl(f->tcp_server, SIOCOUTQ, &count), 0);
    return count;
}

/* Read until the server's queue is shorter, which is what it looks at. How much must be read before
 * the window opens is up to the kernel, and so is when it acknowledges what has come. */
static void take_until_queue_is_shorter(struct fixture *f)
{
    int queued = count_queued(f);

    for (int waited = 0; count_queued(f) >= queued; waited++) {
        assert_true(waited < 10000);
        if (take(f, 50000) == 0)
            (void)poll(NULL, 0, 1);
    }
}

static void a_client_that_takes_a_little_is_not_cut(void **state)
{
    struct fixture *f = *state;
    int narrow = 128 * 1024; /* else the kernel may find room for the whole answer */

    fixture_use_tcp(f);
    assert_int_equal(setsockopt(f->client, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow)), 0);
    fixture_make_file(f, 8 * 1000 * 1000);
    fixture_send(f, GET("/file"));
    fixture_run(f);
    for (unsigned i = 0; i < 6; i++) { /* in any 60 s once */
        fixture_pass(f, 25000);
        take_until_queue_is_shorter(f);
        fixture_run(f);
        fixture_pass(f, 25000);
        assert_int_equal(f->done, 0);
    }
    fixture_pass(f, 120000);
    assert_int_equal(f->last_end, HTTP_END_GONE);
}

/* The kernel has taken the whole answer, the client has not. */
static size_t begin_last_answer(struct fixture *f, const char *behind)
{
    fixture_use_tcp(f);
    fixture_make_file(f, 1000 * 1000);
    fixture_send(f, "GET /file HTTP/1.1\r\nHost: us\r\nConnection: close\r\n\r\n");
    fixture_send(f, behind);
    fixture_run(f);
    assert_int_equal(f->last_end, HTTP_END_SENT);
    return 1000 * 1000;
}

static void assert_whole(struct fixture *f, size_t size)
{
    (void)fixture_talk(f, "");
    assert_true(f->received.length > size);
    assert_false(f->is_reset);
    assert_true(f->is_ended);
}

static void a_last_answer_survives_what_comes_with_the_request(void **state)
{
    struct fixture *f = *state;
    size_t size = begin_last_answer(f, "\r\n");

    fixture_pass(f, 30000);
    assert_whole(f, size);
}

static void a_last_answer_survives_what_comes_later(void **state)
{
    struct fixture *f = *state;
    size_t size = begin_last_answer(f, "");

    fixture_pass(f, 1000);
    fixture_send(f, "\r\n");
    fixture_pass(f, 30000);
    assert_whole(f, size);
}

static void a_client_that_does_not_take_its_last_answer_is_reset(void **state)
{
    struct fixture *f = *state;

    (void)begin_last_answer(f, "");
    fixture_pass(f, 59000);
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_pass(f, 5000);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void a_handler_may_take_its_time(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, GET("/later"));
    fixture_wait(f, 24 * 3600 * 1000);
    assert_int_equal(f->done, 0);
    struct http_response response = {.status = 200};
    http_conn_respond(f->later, &response, SLICE_LITERAL("tomorrow"));
    assert_non_null(strstr(fixture_talk(f, ""), "tomorrow"));
}

static void too_many_connections_are_told_so(void **state)
{
    struct fixture *f = *state;
    int second = fixture_connect(f);
    int third = fixture_connect(f);
    int fourth = fixture_connect(f);
    char answer[512] = "";
    size_t length = 0;
    ssize_t got;

    do {
        fixture_run(f);
        got = recv(fourth, answer + length, sizeof(answer) - 1 - length, 0);
        length += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    assert_memory_equal(answer, "HTTP/1.1 503", 12);
    assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
    assert_int_equal(recv(third, answer, sizeof(answer), 0), -1);
    fd_close(&second);
    fd_close(&third);
    fd_close(&fourth);
}

static void draining_closes_after_the_next_answer(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, GET("/later"));
    http_server_drain(f->server);
    struct http_response response = {.status = 200};
    http_conn_respond(f->later, &response, SLICE_LITERAL("last"));
    const char *answer = fixture_talk(f, "");
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_non_null(strstr(answer, "last"));
    assert_true(f->is_ended);
}

static void draining_answers_one_more_request_of_an_idle_connection(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, GET("/hello"));
    http_server_drain(f->server);
    fixture_wait(f, 900);
    const char *answer = fixture_talk(f, GET("/hello"));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_true(f->is_ended);
}

static void draining_closes_idle_connections_after_a_second(void **state)
{
    struct fixture *f = *state;

    http_server_drain(f->server);
    fixture_wait(f, 999);
    assert_false(f->is_ended);
    fixture_wait(f, 2);
    assert_true(f->is_ended);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void draining_gives_a_new_connection_a_second(void **state)
{
    struct fixture *f = *state;

    http_server_drain(f->server);
    fd_close(&f->client);
    fixture_run(f);
    f->client = fixture_connect(f);
    fixture_wait(f, 999);
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_wait(f, 2);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void the_end_of_the_server_ends_running_requests(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, GET("/later"));
    http_server_free(&f->server);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->last_end, HTTP_END_GONE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_answer_has_date_length_and_the_handlers_headers),
        TEST(a_connection_is_kept_for_the_next_request),
        TEST(a_hundred_pipelined_requests_are_answered_in_order),
        TEST(a_request_sent_byte_by_byte_is_answered),
        TEST(head_requests_get_the_length_and_no_body),
        TEST(an_unknown_length_is_chunked),
        TEST(an_unknown_length_ends_with_the_connection_in_1_0),
        TEST(an_answer_of_unknown_length_waits_for_its_client),
        TEST(an_answer_of_unknown_length_to_1_0_ends_with_the_connection),
        TEST(http_1_0_is_kept_only_when_asked),
        TEST(what_follows_a_last_request_is_never_answered),
        TEST(a_handler_may_answer_later),
        TEST(a_half_closed_client_still_gets_its_answer),
        TEST(no_content_and_not_modified_have_no_length),
        TEST(a_body_is_read_by_pull),
        TEST(a_body_may_come_byte_by_byte),
        TEST(a_chunked_body_is_decoded_and_the_next_request_found),
        TEST(a_chunked_body_may_come_byte_by_byte),
        TEST(a_malformed_chunk_is_answered_400_and_the_handler_told),
        TEST(continue_is_sent_when_the_body_is_asked_for),
        TEST(a_client_that_does_not_wait_gets_no_continue),
        TEST(an_answer_instead_of_continue_closes),
        TEST(an_early_answer_lingers_for_what_still_comes),
        TEST(lingering_reads_no_more_than_64_kib),
        TEST(a_client_that_leaves_in_its_body_is_forgotten_at_once),
        TEST(a_reset_is_noticed_while_the_handler_works),
        TEST(a_file_is_sent_whole),
        TEST(a_file_is_sent_in_windows_one_a_turn),
        TEST(parts_of_a_file_wait_for_their_turns_too),
        TEST(a_file_shorter_than_promised_resets),
        TEST(an_abort_resets),
        TEST(an_answer_that_ends_short_resets),
        TEST(a_large_answer_to_a_slow_client_is_kept_for_it),
        TEST(a_tls_hello_is_answered_in_plain_words),
        TEST(nothing_behind_a_refused_head_is_a_request),
        TEST(a_refused_head_request_has_no_body),
        TEST(a_slow_head_is_answered_408),
        TEST(a_silent_body_is_answered_408),
        TEST(an_idle_connection_is_closed_after_its_time),
        TEST(a_shorter_timeout_is_not_delayed_by_older_ones),
        TEST(a_client_that_takes_nothing_is_reset),
        TEST(a_handler_may_take_its_time),
        TEST(too_many_connections_are_told_so),
        TEST(draining_closes_after_the_next_answer),
        TEST(draining_answers_one_more_request_of_an_idle_connection),
        TEST(draining_closes_idle_connections_after_a_second),
        TEST(draining_gives_a_new_connection_a_second),
        TEST(the_end_of_the_server_ends_running_requests),
        TEST(a_body_that_dribbles_is_answered_408),
        TEST(time_in_which_nobody_reads_is_not_the_clients),
        TEST(a_bad_head_is_answered_at_its_bad_byte),
        TEST(a_line_end_and_nothing_behind_it_is_no_head),
        TEST(a_refused_head_request_behind_a_line_end_has_no_body),
        TEST(a_slow_head_request_has_no_body),
        TEST(a_client_that_takes_a_little_is_not_cut),
        TEST(a_last_answer_survives_what_comes_with_the_request),
        TEST(a_last_answer_survives_what_comes_later),
        TEST(a_client_that_does_not_take_its_last_answer_is_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
