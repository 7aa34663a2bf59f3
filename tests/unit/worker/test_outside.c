/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint outside /v2/ that reads a body and streams its answer, on every kind of listener: a
 * row of the table is all it needs. It answers each letter of the body twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "endpoint.h"
#include "request.h"
#include "scene.h"
#include "worker/worker.h"

#define STEP     1000
#define BODY_MAX ((size_t)1024 * 1024)
#define EVERY    (LISTENERS_API | LISTENER_BIT(ADMIN))

static struct scene *scene;
static struct guest guest;
static unsigned gone;

struct echo {
    struct buf body;
    size_t sent;
};

static void read_more(struct request *request)
{
    struct echo *echo = request->step;

    http_conn_read_body(request->conn, buf_reserve(&echo->body, STEP), STEP);
}

static void send_more(struct request *request)
{
    struct echo *echo = request->step;
    struct slice rest = slice_skip(buf_bytes(&echo->body), echo->sent);
    char twice[2 * STEP];

    if (rest.length > STEP)
        rest.length = STEP;
    for (size_t i = 0; i < rest.length; i++)
        twice[2 * i] = twice[2 * i + 1] = rest.data[i];
    echo->sent += rest.length;
    if (rest.length > 0)
        http_conn_send_bytes(request->conn, slice_from(twice, 2 * rest.length));
    else
        http_conn_end(request->conn);
}

static void on_body(struct request *request, size_t length, bool is_end)
{
    struct echo *echo = request->step;
    struct headers headers;

    buf_added(&echo->body, length);
    if (!is_end) {
        read_more(request);
        return;
    }
    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("text/plain"));
    request_begin(request, 200, &headers, HTTP_NO_LENGTH);
    send_more(request);
}

static void on_gone(struct request *request)
{
    struct echo *echo = request->step;

    gone++;
    buf_cleanup(&echo->body);
    mem_free(echo);
}

static const struct request_steps echo_steps = {
    .on_body = on_body,
    .on_drained = send_more,
    .on_gone = on_gone,
};

static void answer_echo(struct request *request, struct ledger_txn *txn)
{
    struct echo *echo = NEW(struct echo);

    assert_null(txn);
    buf_init(&echo->body, BODY_MAX);
    request_set_step(request, &echo_steps, echo);
    read_more(request);
}

static void refuse(struct request *request, struct ledger_txn *txn)
{
    assert_null(txn);
    request_failf(request, API_DENIED, "not today");
}

static const struct endpoint rows[] = {
    {.path = "/test/echo",
     .listeners = EVERY,
     .methods = METHOD_BIT(POST) | METHOD_BIT(PUT),
     .label = "echo",
     .handle = answer_echo},
    {.path = "/test/refuse",
     .listeners = EVERY,
     .methods = METHOD_BIT(GET),
     .label = "refuse",
     .handle = refuse},
};

static int setup(void **state)
{
    struct worker_options options = {
        .endpoints = rows,
        .endpoint_count = sizeof(rows) / sizeof(rows[0]),
    };

    (void)state;

    gone = 0;
    scene = scene_new_with("", &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_free(scene);
    return 0;
}

static void endpoints_outside_read_and_stream(void **state)
{
    char body[3501];

    (void)state;

    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    for (int kind = LISTENER_FULL; kind <= LISTENER_ADMIN; kind++) {
        guest_come(scene, &guest, (enum listener_kind)kind);
        guest_send(scene, &guest,
                   "POST /test/echo?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3500\r\n\r\n%s",
                   body);
        const char *text = guest_got(scene, &guest);
        assert_int_equal(guest_status(scene, &guest), 200);
        assert_non_null(strstr(text, "Transfer-Encoding: chunked\r\n"));
        assert_non_null(strstr(text, "\r\n7d0\r\nxxxx")); /* 2000 of the first step */
        assert_non_null(strstr(text, "\r\n3e8\r\nxxxx")); /* 1000 of the last */
        assert_non_null(strstr(text, "\r\n0\r\n\r\n"));
        guest_forget(&guest);
        /* The connection goes on. */
        guest_send(scene, &guest,
                   "PUT /test/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n");
        assert_non_null(strstr(guest_got(scene, &guest), "\r\n8\r\naabbccdd\r\n0\r\n\r\n"));
        guest_leave(scene, &guest);
    }
    assert_int_equal(gone, 6);
}

static void endpoints_outside_answer_what_they_do_not_have(void **state)
{
    (void)state;

    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest, "GET /test/echo HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(guest_status(scene, &guest), 405);
    assert_non_null(strstr(guest_got(scene, &guest), "\r\nAllow: POST, PUT\r\n"));
    guest_forget(&guest);
    guest_send(scene, &guest, "GET /test/echo/more HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(guest_status(scene, &guest), 404);
    guest_forget(&guest);
    guest_send(scene, &guest, "GET /test/refuse HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(guest_status(scene, &guest), 403);
    assert_non_null(strstr(guest_got(scene, &guest), "\"DENIED\""));
    guest_leave(scene, &guest);
    guest_come(scene, &guest, LISTENER_ADMIN);
    guest_send(scene, &guest, "GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(guest_status(scene, &guest), 404);
    assert_non_null(strstr(guest_got(scene, &guest),
                           "there are /healthz, /readyz, /metrics, /test/echo, /test/refuse\n"));
    guest_leave(scene, &guest);
}

static void endpoints_outside_lose_their_client(void **state)
{
    (void)state;

    guest_come(scene, &guest, LISTENER_ADMIN);
    guest_send(scene, &guest,
               "POST /test/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    guest_leave(scene, &guest);
    scene_settle(scene);
    assert_int_equal(gone, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(endpoints_outside_read_and_stream),
        TEST(endpoints_outside_answer_what_they_do_not_have),
        TEST(endpoints_outside_lose_their_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
