/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/pool.h"
#include "fakes/loop.h"
#include "net/loop.h"
#include "net/stream.h"

#define PART 100000UL

static const struct http_response ok = {
    .status = 200, .headers = {"X-Test: yes\r\n", 13}, .content_length = 5};

static void respond(struct http_conn *conn, int status, const char *body)
{
    struct http_response response = {.status = status, .content_length = strlen(body)};

    http_conn_respond(conn, &response, slice_of(body));
}

static void begin(struct http_conn *conn, uint64_t length)
{
    struct http_response response = {.status = 200, .content_length = length};

    http_conn_begin(conn, &response);
}

static void send_part(struct fixture *fixture, struct http_conn *conn)
{
    size_t left = fixture->file_size - fixture->parts_sent;
    size_t length = left < PART ? left : PART;

    if (left == 0) {
        http_conn_end(conn);
        return;
    }
    http_conn_send_file(conn, fixture->file, fixture->parts_sent, length);
    fixture->parts_sent += length;
}

static void send_piece(struct fixture *fixture, struct http_conn *conn)
{
    static const char piece[STREAM_PIECE];

    fixture->pieces_left--;
    http_conn_send_bytes(conn, slice_from(piece, sizeof(piece)));
}

static void on_request(struct http_conn *conn, const struct http_head *head, void *arg)
{
    struct fixture *fixture = arg;

    fixture->requests++;
    fixture->head = head;
    assert_null(http_conn_user(conn));
    http_conn_set_user(conn, fixture);
    if (slice_is(head->target, "/hello")) {
        struct http_response response = ok;

        response.is_head = slice_is(head->method, "HEAD");
        http_conn_respond(conn, &response, SLICE_LITERAL("hello"));
    } else if (slice_is(head->target, "/later")) {
        fixture->later = conn;
    } else if (slice_is(head->target, "/body")) {
        http_conn_read_body(conn, fixture->room, fixture->room_size);
    } else if (slice_is(head->target, "/early")) {
        respond(conn, 403, "no");
    } else if (slice_is(head->target, "/file")) {
        begin(conn, fixture->file_size);
        http_conn_send_file(conn, fixture->file, 0, fixture->file_size);
        http_conn_end(conn);
    } else if (slice_is(head->target, "/parts")) {
        begin(conn, fixture->file_size);
        send_part(fixture, conn);
    } else if (slice_is(head->target, "/pieces")) {
        begin(conn, HTTP_NO_LENGTH);
        http_conn_send_bytes(conn, SLICE_LITERAL("ab"));
    } else if (slice_is(head->target, "/stream")) {
        begin(conn, HTTP_NO_LENGTH);
        fixture->pieces_left = STREAM_PIECES;
        send_piece(fixture, conn);
    } else if (slice_is(head->target, "/abort")) {
        begin(conn, 100);
        http_conn_send_bytes(conn, SLICE_LITERAL("x"));
        http_conn_abort(conn);
    } else if (slice_is(head->target, "/short")) {
        begin(conn, 100);
        http_conn_send_bytes(conn, SLICE_LITERAL("x"));
        http_conn_end(conn);
    } else {
        respond(conn, 404, "what?");
    }
}

static void on_body(struct http_conn *conn, size_t length, bool is_end)
{
    struct fixture *fixture = http_conn_user(conn);

    fixture->body_calls++;
    buf_append(&fixture->body, fixture->room, length);
    fixture->is_body_whole = is_end;
    if (!is_end) {
        http_conn_read_body(conn, fixture->room, fixture->room_size);
        return;
    }
    struct http_response response = {.status = 201};
    http_conn_respond(conn, &response, buf_bytes(&fixture->body));
}

static void on_drained(struct http_conn *conn)
{
    struct fixture *fixture = http_conn_user(conn);

    fixture->drained++;
    if (fixture->pieces_left > 0)
        send_piece(fixture, conn);
    else if (fixture->parts_sent > 0)
        send_part(fixture, conn);
    else if (fixture->drained == 1)
        http_conn_send_bytes(conn, SLICE_LITERAL("cd"));
    else
        http_conn_end(conn);
}

static void on_done(struct http_conn *conn, enum http_end end)
{
    struct fixture *fixture = http_conn_user(conn);

    assert_non_null(fixture);
    fixture->done++;
    fixture->last_end = end;
    if (fixture->later == conn)
        fixture->later = NULL;
}

static void on_refused(const struct http_refusal *refusal, const char *peer, void *arg)
{
    struct fixture *fixture = arg;

    assert_string_equal(peer, "client");
    fixture->refused = refusal->status;
}

static const struct http_handler handler = {
    .on_request = on_request,
    .on_body = on_body,
    .on_drained = on_drained,
    .on_done = on_done,
    .on_refused = on_refused,
};

static bool is_full(const struct fixture *fixture)
{
    return http_server_connections(fixture->server) >= fixture->settings.connections_max;
}

int fixture_connect(struct fixture *fixture)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    http_server_adopt(fixture->server, &stream_plain, &pair[0], "client", is_full(fixture));
    assert_int_equal(pair[0], -1);
    return pair[1];
}

static int connect_tcp(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    AUTO_CLOSE int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    int accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_equal(fcntl(client, F_SETFL, O_NONBLOCK), 0);
    fixture->tcp_server = accepted;
    http_server_adopt(fixture->server, &stream_plain, &accepted, "client", is_full(fixture));
    return client;
}

void fixture_use_tcp(struct fixture *fixture)
{
    fd_close(&fixture->client);
    fixture_run(fixture);
    fixture->client = connect_tcp(fixture);
    fixture->is_ended = false;
    fixture->is_reset = false;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = NEW(struct fixture);

    (void)signal(SIGPIPE, SIG_IGN);
    clock_freeze((struct monotime){1000}, (struct walltime){1767225600000});
    fixture->settings = (struct http_settings){
        .limits = {.line_max = 8192,
                   .head_max = 32 * 1024,
                   .value_max = 16 * 1024,
                   .range_max = 64 * 1024,
                   .fields_max = HTTP_HEADERS_MAX},
        .handshake_timeout_ms = 5000,
        .head_timeout_ms = 10000,
        .body_idle_timeout_ms = 30000,
        .body_grace_ms = 30000,
        .body_rate = 1024,
        .keep_alive_timeout_ms = 75000,
        .send_timeout_ms = 60000,
        .connections_max = 3,
    };
    fixture->loop = loop_new();
    fixture->pool = pool_new(1);
    loop_add_pool(fixture->loop, fixture->pool);
    fixture->server =
        http_server_new(fixture->loop, fixture->pool, &fixture->settings, &handler, fixture);
    fixture->room_size = sizeof(fixture->room);
    fixture->file = -1;
    buf_init(&fixture->received, 64 * 1024 * 1024UL);
    buf_init(&fixture->body, 16 * 1024 * 1024UL);
    fake_loop_hold_clock(fixture->loop, 0);
    fixture->client = fixture_connect(fixture);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    http_server_free(&fixture->server);
    assert_int_equal(fixture->requests, fixture->done);
    pool_free(&fixture->pool);
    loop_free(&fixture->loop);
    fd_close(&fixture->client);
    fd_close(&fixture->file);
    buf_cleanup(&fixture->received);
    buf_cleanup(&fixture->body);
    mem_free(fixture);
    clock_thaw();
    return 0;
}

/* Did anything come? */
static bool receive(struct fixture *fixture)
{
    static char bytes[64 * 1024];
    size_t before = fixture->received.length;
    ssize_t got = 0;

    while (fixture->client >= 0 && (got = recv(fixture->client, bytes, sizeof(bytes), 0)) > 0)
        buf_append(&fixture->received, bytes, (size_t)got);
    if (got == 0 && fixture->client >= 0)
        fixture->is_ended = true;
    if (got < 0 && errno == ECONNRESET)
        fixture->is_reset = true;
    return fixture->received.length > before;
}

void fixture_run(struct fixture *fixture)
{
    fake_loop_settle(fixture->loop);
}

void fixture_send(struct fixture *fixture, const char *text)
{
    size_t length = strlen(text);

    assert_int_equal(send(fixture->client, text, length, MSG_NOSIGNAL), (ssize_t)length);
}

const char *fixture_talk(struct fixture *fixture, const char *text)
{
    buf_clear(&fixture->received);
    if (text[0])
        fixture_send(fixture, text);
    do
        fixture_run(fixture);
    while (receive(fixture));
    return buf_text(&fixture->received);
}

void fixture_pass(struct fixture *fixture, unsigned ms)
{
    struct monotime end = monotime_add(clock_mono(), ms);

    fake_loop_hold_clock(fixture->loop, ms);
    fixture_run(fixture);
    fake_loop_hold_clock(fixture->loop, 0);
    clock_advance(monotime_since(end, clock_mono()));
}

void fixture_wait(struct fixture *fixture, unsigned ms)
{
    fixture_pass(fixture, ms);
    while (receive(fixture))
        fixture_run(fixture);
}

void fixture_make_file(struct fixture *fixture, size_t size)
{
    fixture->file = memfd_create("file", MFD_CLOEXEC);
    fixture->file_size = size;
    assert_int_equal(ftruncate(fixture->file, (off_t)size), 0);
    assert_int_equal(pwrite(fixture->file, "begin", 5, 0), 5);
    assert_int_equal(pwrite(fixture->file, "end", 3, (off_t)size - 3), 3);
}

unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;

    while ((text = strstr(text, what))) {
        count++;
        text += strlen(what);
    }
    return count;
}
