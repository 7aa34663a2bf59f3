/* SPDX-License-Identifier: Apache-2.0 */
/* Methods and bodies of requests: from memory, from a file that grows, over a unix socket, and to
 * servers that do not wait for the end. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "net/loop.h"
#include "net/transfer.h"
#include "transfer_fixture.h"

#define LARGE_SIZE (3ul * 1024 * 1024 + 17)

static char *large; /* LARGE_SIZE bytes that do not repeat soon */
static int file;    /* empty at the start of each test */

static int make_large(void **state)
{
    (void)state;
    large = mem_alloc(LARGE_SIZE);
    for (size_t i = 0; i < LARGE_SIZE; i++)
        large[i] = (char)(i * 7 + i / 251 + i / 65521);
    return 0;
}

static int free_large(void **state)
{
    (void)state;
    mem_free(large);
    return 0;
}

static int setup(void **state)
{
    char path[] = "/tmp/transfer-body-XXXXXX";

    file = mkostemp(path, O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(unlink(path), 0);
    return fixture_setup(state);
}

static int teardown(void **state)
{
    fd_close(&file);
    return fixture_teardown(state);
}

static void write_file(const void *bytes, size_t length)
{
    struct error err;

    assert_int_equal(fd_write_all(file, bytes, length, &err), 0);
}

static void check_body(const void *wanted, size_t length)
{
    size_t got_length = 0;
    const char *got = server_body(&got_length);

    assert_non_null(got);
    assert_int_equal(got_length, length);
    assert_memory_equal(got, wanted, length);
}

/* Turns until the server has so much of the request, the head included. */
static void run_until_received(size_t length)
{
    uint64_t end = clock_mono().ms + 20000;

    while (buf_bytes(&server.received).length < length && clock_mono().ms < end)
        loop_turn(server.loop, 10);
    assert_true(buf_bytes(&server.received).length >= length);
}

static void every_method_has_its_name(void **state)
{
    static const struct {
        enum transfer_method method;
        const char *line;
        const char *length; /* NULL: none */
    } methods[] = {
        {TRANSFER_GET, "GET /v2/a?b HTTP/1.1\r\n", NULL},
        {TRANSFER_HEAD, "HEAD /v2/a?b HTTP/1.1\r\n", NULL},
        {TRANSFER_POST, "POST /v2/a?b HTTP/1.1\r\n", "\r\nContent-Length: 0\r\n"},
        {TRANSFER_PUT, "PUT /v2/a?b HTTP/1.1\r\n", "\r\nContent-Length: 0\r\n"},
        {TRANSFER_PATCH, "PATCH /v2/a?b HTTP/1.1\r\n", "\r\nContent-Length: 0\r\n"},
        {TRANSFER_DELETE, "DELETE /v2/a?b HTTP/1.1\r\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        client_next();
        client_start(methods[i].method, EMPTY_ANSWER, 0);
        client_check();
        assert_int_equal(strncmp(server.head, methods[i].line, strlen(methods[i].line)), 0);
        assert_non_null(strstr(server.head, "\r\nX-Test: 1\r\n"));
        assert_null(strstr(server.head, "Expect"));
        assert_null(strstr(server.head, "Content-Type"));
        if (methods[i].length)
            assert_non_null(strstr(server.head, methods[i].length));
        else
            assert_null(strstr(server.head, "Content-Length"));
    }
}

static void body_of_memory_is_sent_with_its_length(void **state)
{
    static const enum transfer_method methods[] = {TRANSFER_POST, TRANSFER_PUT, TRANSFER_PATCH,
                                                   TRANSFER_DELETE};
    const struct transfer_body small = {.bytes = SLICE_LITERAL("{\"a\":1}")};
    const struct transfer_body whole = {.bytes = {large, LARGE_SIZE}};

    (void)state;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        client_next();
        client.body = &small;
        client_start(methods[i], EMPTY_ANSWER, 0);
        client_check();
        assert_non_null(strstr(server.head, "\r\nContent-Length: 7\r\n"));
        check_body("{\"a\":1}", 7);
    }
    client_next();
    client.body = &whole;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_check();
    check_body(large, LARGE_SIZE);
    assert_null(strstr(server.head, "Expect"));
}

static void a_get_has_no_body(void **state)
{
    const struct transfer_body small = {.bytes = SLICE_LITERAL("x")};
    struct error err;

    (void)state;
    client.body = &small;
    assert_int_equal(client_try(TRANSFER_GET, "", 0, &err), -ERR_INVALID);
    assert_int_equal(client_try(TRANSFER_HEAD, "", 0, &err), -ERR_INVALID);
}

static void body_of_a_file_begins_at_its_offset(void **state)
{
    const struct transfer_body body = {.is_file = true,
                                       .fd = file,
                                       .offset = 100,
                                       .length = LARGE_SIZE - 100,
                                       .available = LARGE_SIZE - 100};

    (void)state;
    write_file(large, LARGE_SIZE);
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    fd_close(&file); /* it has its own */
    client_check();
    check_body(large + 100, LARGE_SIZE - 100);
}

#ifdef ENTREPOT_FAILPOINTS

static void cold_file_is_read_by_the_pool(void **state)
{
    const struct transfer_body body = {
        .is_file = true, .fd = file, .length = LARGE_SIZE, .available = LARGE_SIZE};

    (void)state;
    write_file(large, LARGE_SIZE);
    client.body = &body;
    failpoint_arm("transfer.cold", 0, 0);
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_check();
    assert_int_equal(failpoint_hits("transfer.cold"), 4); /* a MiB at a time */
    failpoint_clear();
    check_body(large, LARGE_SIZE);
}

#endif

static void file_is_sent_while_it_grows(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = LARGE_SIZE};
    size_t part = LARGE_SIZE / 3;

    (void)state;
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    run_until_received(1);
    write_file(large, part);
    transfer_body_grew(client.transfer, part);
    run_until_received(part);
    transfer_body_grew(client.transfer, part - 1); /* changes nothing */
    write_file(large + part, LARGE_SIZE - part);
    transfer_body_grew(client.transfer, LARGE_SIZE);
    transfer_body_grew(client.transfer, LARGE_SIZE);
    client_check();
    check_body(large, LARGE_SIZE);
    assert_null(strstr(server.head, "Transfer-Encoding"));
}

static void file_of_unknown_length_is_sent_in_chunks(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = UINT64_MAX};

    (void)state;
    client.body = &body;
    client_start(TRANSFER_PATCH, EMPTY_ANSWER, 0);
    write_file(large, 1000);
    transfer_body_grew(client.transfer, 1000);
    run_until_received(1000);
    write_file(large + 1000, LARGE_SIZE - 1000);
    transfer_body_grew(client.transfer, LARGE_SIZE);
    run_until_received(LARGE_SIZE);
    assert_false(client.is_done);
    transfer_body_end(client.transfer);
    client_check();
    assert_non_null(strstr(server.head, "\r\nTransfer-Encoding: chunked\r\n"));
    check_body(large, LARGE_SIZE);
}

static void empty_body_of_unknown_length_ends(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = UINT64_MAX};

    (void)state;
    client.body = &body;
    client_start(TRANSFER_POST, EMPTY_ANSWER, 0);
    transfer_body_end(client.transfer);
    client_check();
    check_body("", 0);
}

/* Longer than the head and stall timeouts of the client together. */
static void turn_for(uint64_t ms)
{
    uint64_t end = clock_mono().ms + ms;

    while (clock_mono().ms < end)
        loop_turn(server.loop, 10);
}

static void no_time_counts_while_the_source_is_waited_for(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = 4};

    (void)state;
    client.patience_ms = 300;
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    turn_for(700);
    assert_false(client.is_done);
    write_file("body", 4);
    transfer_body_grew(client.transfer, 4);
    client_check();
    check_body("body", 4);
}

static void total_time_counts_while_the_source_is_waited_for(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = 4};

    (void)state;
    client.body = &body;
    client.total_ms = 100;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
}

static void body_that_ends_before_its_length_fails(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = 10};

    (void)state;
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    write_file("body", 4);
    transfer_body_grew(client.transfer, 4);
    transfer_body_end(client.transfer);
    client_run();
    assert_int_equal(client.err.kind, ERR_INVALID);
    client_next();
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    transfer_body_grew(client.transfer, 11);
    client_run();
    assert_int_equal(client.err.kind, ERR_INVALID);
}

static void file_that_is_shorter_than_was_said_fails(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = 10, .available = 10};

    (void)state;
    write_file("body", 4);
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_IO);
}

static void file_that_cannot_be_read_fails(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    const struct transfer_body body = {
        .is_file = true, .fd = fds[0], .length = 10, .available = 10};
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_IO);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

static void early_refusal_ends_the_sending(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = LARGE_SIZE};

    (void)state;
    client.body = &body;
    server.answers_early = true;
    server.stays_open = true;
    write_file(large, 1000);
    client_start(TRANSFER_PUT, "HTTP/1.1 413 Too large\r\nContent-Length: 3\r\n\r\nno!", 0);
    transfer_body_grew(client.transfer, 1000);
    client_run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.status, 413);
    assert_int_equal(client.bytes, 3);
}

static void early_head_can_end_the_transfer(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = LARGE_SIZE};

    (void)state;
    client.body = &body;
    client.wants_no_body = true;
    server.answers_early = true;
    server.stays_open = true;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_CANCELLED);
    assert_int_equal(client.status, 200);
}

static void server_that_closes_in_the_middle_is_an_error(void **state)
{
    const struct transfer_body whole = {.bytes = {large, LARGE_SIZE}};
    const struct transfer_body waiting = {.is_file = true, .fd = file, .length = 10};

    (void)state;
    client.body = &whole;
    server.closes_after = 100000;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    client_next();
    client.body = &waiting; /* and while it waits for its source */
    server.closes_after = 4;
    write_file("body", 4);
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    transfer_body_grew(client.transfer, 4);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
}

static void server_that_takes_nothing_is_a_stall(void **state)
{
    const struct transfer_body whole = {.bytes = {large, LARGE_SIZE}};
    uint64_t began_ms = clock_mono().ms;

    (void)state;
    client.patience_ms = 300;
    client.body = &whole;
    server.reads_nothing = true;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_in_range(clock_mono().ms - began_ms, 300, 5000);
}

static void answer_that_does_not_come_after_the_body_is_a_timeout(void **state)
{
    const struct transfer_body small = {.bytes = SLICE_LITERAL("x")};

    (void)state;
    client.patience_ms = 300;
    client.body = &small;
    server.stays_open = true;
    client_start(TRANSFER_PUT, "HTTP/1.1 200", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_non_null(strstr(client.err.text, "no answer"));
}

static void cancel_while_the_source_is_waited_for_is_silent(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = 4};

    (void)state;
    client.body = &body;
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    run_until_received(1);
    transfer_body_grew(client.transfer, 2);
    transfer_cancel(&client.transfer);
    turn_for(20);
    assert_false(client.is_done);
}

static void body_goes_while_the_answer_is_paused(void **state)
{
    const struct transfer_body body = {.is_file = true, .fd = file, .length = LARGE_SIZE};

    (void)state;
    client.body = &body;
    client.pauses_wanted = 5;
    write_file(large, LARGE_SIZE);
    client_start(TRANSFER_POST, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
    for (size_t at = 0; at < LARGE_SIZE; at += LARGE_SIZE / 10) {
        transfer_body_grew(client.transfer, at);
        loop_turn(server.loop, 10);
    }
    transfer_body_grew(client.transfer, LARGE_SIZE);
    client_check();
    assert_int_equal(client.bytes, BLOB_SIZE);
    assert_int_equal(client.pauses, 5);
    check_body(large, LARGE_SIZE);
}

/* The connection that is kept open is closed by the server when the next request is on its way. */
static void body_is_sent_again_over_a_new_connection(void **state)
{
    const struct transfer_body small = {.bytes = SLICE_LITERAL("{}")};

    (void)state;
    server.stays_open = true;
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    assert_int_equal(server.connections, 1);
    client.is_done = false;
    client.status = 0;
    client.body = &small;
    server.answer_sent = 0;
    server.closes_after = 1;
    buf_clear(&server.received);
    watch_set(server.serving, WATCH_READ);
    watch_set(server.listening, WATCH_READ);
    client_start(TRANSFER_PUT, EMPTY_ANSWER, 0);
    while (server.client >= 0 && !client.is_done)
        loop_turn(server.loop, 10);
    server.closes_after = 0;
    buf_clear(&server.received);
    client_check();
    assert_int_equal(server.connections, 2);
    check_body("{}", 2);
}

static void unix_socket_is_connected_to(void **state)
{
    char folder[] = "/tmp/transfer-unix-XXXXXX";
    char path[64];
    const struct transfer_body small = {.bytes = SLICE_LITERAL("{}")};

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/control", folder);
    server_listen_unix(path);
    client.unix_socket = path;
    client.host = "entrepot"; /* which is not looked up */
    client.refuses = true;    /* nor judged */
    client.body = &small;
    client_start(TRANSFER_POST, EMPTY_ANSWER, 0);
    client_check();
    assert_non_null(strstr(server.head, "\r\nHost: entrepot"));
    check_body("{}", 2);
    assert_int_equal(client.asked_addresses, 0);
    assert_int_equal(unlink(path), 0);
    client_next();
    client.unix_socket = path;
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(rmdir(folder), 0);
}

static void unix_socket_has_a_short_path_and_no_proxy(void **state)
{
    char path[109];
    struct error err;

    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[108] = '\0';
    client.unix_socket = path;
    assert_int_equal(client_try(TRANSFER_GET, "", 0, &err), -ERR_INVALID);
    client.unix_socket = "";
    assert_int_equal(client_try(TRANSFER_GET, "", 0, &err), -ERR_INVALID);
    client.unix_socket = "/a";
    client.proxy = "127.0.0.1";
    assert_int_equal(client_try(TRANSFER_GET, "", 0, &err), -ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(every_method_has_its_name),
        TEST(body_of_memory_is_sent_with_its_length),
        TEST(a_get_has_no_body),
        TEST(body_of_a_file_begins_at_its_offset),
#ifdef ENTREPOT_FAILPOINTS
        TEST(cold_file_is_read_by_the_pool),
#endif
        TEST(file_is_sent_while_it_grows),
        TEST(file_of_unknown_length_is_sent_in_chunks),
        TEST(empty_body_of_unknown_length_ends),
        TEST(no_time_counts_while_the_source_is_waited_for),
        TEST(total_time_counts_while_the_source_is_waited_for),
        TEST(body_that_ends_before_its_length_fails),
        TEST(file_that_is_shorter_than_was_said_fails),
        TEST(file_that_cannot_be_read_fails),
        TEST(early_refusal_ends_the_sending),
        TEST(early_head_can_end_the_transfer),
        TEST(server_that_closes_in_the_middle_is_an_error),
        TEST(server_that_takes_nothing_is_a_stall),
        TEST(answer_that_does_not_come_after_the_body_is_a_timeout),
        TEST(cancel_while_the_source_is_waited_for_is_silent),
        TEST(body_goes_while_the_answer_is_paused),
        TEST(body_is_sent_again_over_a_new_connection),
        TEST(unix_socket_is_connected_to),
        TEST(unix_socket_has_a_short_path_and_no_proxy),
    };

    return cmocka_run_group_tests(tests, make_large, free_large);
}
