/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to a request. A whole answer is sent by one writev straight from the handler's memory;
 * what the socket does not take is copied to `out`. A file is sent after `out`, one window in a
 * turn of the loop, and only while its pages are in memory.
 *
 *   queued:  |--- out: head, bytes, framing ---|--- file ---|
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "http_conn_parts.h"
#include "read_ahead.h"

#define PIECES_MAX 4

void answer_begin(struct http_answer *answer)
{
    *answer = (struct http_answer){.file = -1};
    buf_init(&answer->out, OUTPUT_MAX);
}

void answer_cleanup(struct http_answer *answer)
{
    buf_cleanup(&answer->out);
    read_ahead_cancel(&answer->ahead);
}

bool answer_is_empty(const struct http_answer *answer)
{
    return answer->out.length == 0 && answer->file_left == 0 && !answer->is_last_due;
}

static void fail_send(struct http_conn *conn, ssize_t result)
{
    if (result == -EAGAIN)
        conn->is_blocked = true;
    else
        conn_fail(conn, HTTP_END_GONE);
}

/* The bytes of a vector are not const, but writev does not change them. */
static struct iovec vector_of(struct slice bytes)
{
    union {
        const char *in;
        void *out;
    } cast = {.in = bytes.data};

    return (struct iovec){.iov_base = cast.out, .iov_len = bytes.length};
}

/* Send what is queued, then these pieces. Returns how many bytes the socket took. */
static size_t send_now(struct http_conn *conn, const struct slice *pieces, size_t count)
{
    struct http_answer *answer = &conn->exchange->answer;
    struct iovec vector[PIECES_MAX + 1];
    struct slice out = buf_bytes(&answer->out);
    size_t used = 0;
    size_t total = out.length;

    if (out.length > 0)
        vector[used++] = vector_of(out);
    for (size_t i = 0; i < count; i++) {
        vector[used++] = vector_of(pieces[i]);
        total += pieces[i].length;
    }
    if (total == 0)
        return 0;
    ssize_t sent = stream_writev(&conn->stream, vector, used, answer->file_left > 0);
    if (sent < 0) {
        fail_send(conn, sent);
        return 0;
    }
    conn->has_moved = true;
    if ((size_t)sent < total)
        conn->is_blocked = true;
    return (size_t)sent;
}

static void send_pieces(struct http_conn *conn, const struct slice *pieces, size_t count)
{
    struct buf *out = &conn->exchange->answer.out;

    CHECK(count <= PIECES_MAX && conn->exchange->answer.file_left == 0);
    size_t sent = conn->is_blocked ? 0 : send_now(conn, pieces, count);
    if (conn->exchange->is_over)
        return;
    size_t from_out = sent < out->length ? sent : out->length;
    buf_consume(out, from_out);
    sent -= from_out;
    for (size_t i = 0; i < count; i++) {
        size_t skip = sent < pieces[i].length ? sent : pieces[i].length;

        buf_append_slice(out, slice_skip(pieces[i], skip));
        sent -= skip;
    }
    if (out->is_over)
        conn_fail(conn, HTTP_END_ABORTED);
}

void answer_raw(struct http_conn *conn, struct slice bytes)
{
    send_pieces(conn, &bytes, 1);
}

static void on_ahead(void *arg)
{
    struct http_conn *conn = arg;

    conn->exchange->answer.ahead = NULL;
    conn->is_exhausted = false;
    conn_step(conn);
}

/* True: the pool reads the bytes and on_ahead continues. Each READ_AHEAD of a file is probed once,
 * at its last byte: the kernel reads files from front to back, so the bytes before it are there
 * too.
 */
static bool is_read_ahead(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    struct http_answer *answer = &conn->exchange->answer;

    if (answer->ahead)
        return true;
    if (!server->pool || server->has_no_probe || answer->file_offset < answer->probed_until)
        return false;
    uint64_t length = answer->file_left < READ_AHEAD ? answer->file_left : READ_AHEAD;
    uint64_t end = answer->file_offset + length;
    enum read_ahead_state state = read_ahead_probe(answer->file, end - 1);
    answer->probed_until = end;
    if (state == READ_AHEAD_UNKNOWN)
        server->has_no_probe = true;
    if (state != READ_AHEAD_COLD)
        return false;
    answer->ahead =
        read_ahead_start(server->pool, answer->file, answer->file_offset, length, on_ahead, conn);
    return answer->ahead;
}

static bool is_clients_fault(ssize_t result)
{
    return result == -EPIPE || result == -ECONNRESET || result == -ETIMEDOUT || result == -ENOTCONN;
}

static void send_window(struct http_conn *conn)
{
    struct http_answer *answer = &conn->exchange->answer;
    uint64_t window = answer->file_left < FILE_WINDOW ? answer->file_left : FILE_WINDOW;

    if (is_read_ahead(conn))
        return;
    if (answer->probed_until > answer->file_offset &&
        window > answer->probed_until - answer->file_offset)
        window = answer->probed_until - answer->file_offset;
    ssize_t sent =
        stream_send_file(&conn->stream, answer->file, answer->file_offset, (size_t)window);
    conn->is_exhausted = true;
    if (sent == -EAGAIN) {
        conn->is_blocked = true;
        return;
    }
    if (sent <= 0) {
        /* 0: the file is shorter than the answer promised. */
        conn_fail(conn, is_clients_fault(sent) ? HTTP_END_GONE : HTTP_END_ABORTED);
        return;
    }
    conn->has_moved = true;
    answer->file_offset += (uint64_t)sent;
    answer->file_left -= (uint64_t)sent;
    if (answer->file_left == 0 && answer->is_chunked)
        answer_raw(conn, SLICE_LITERAL("\r\n"));
}

static void flush_out(struct http_conn *conn)
{
    struct buf *out = &conn->exchange->answer.out;

    buf_consume(out, send_now(conn, NULL, 0));
    if (out->length == 0)
        buf_cleanup(out);
}

void answer_flush(struct http_conn *conn)
{
    struct http_answer *answer = &conn->exchange->answer;

    if (answer->is_last_due && answer->file_left == 0) {
        answer->is_last_due = false;
        answer_raw(conn, SLICE_LITERAL("0\r\n\r\n"));
    }
    if (!conn->is_blocked && answer->out.length > 0)
        flush_out(conn);
    if (conn->is_blocked || conn->is_exhausted || conn->exchange->is_over)
        return;
    if (answer->out.length == 0 && answer->file_left > 0)
        send_window(conn);
}

/* NONE → OPEN → ENDED, once each. */
static void answer_set_state(struct http_answer *answer, enum http_answer_state next)
{
    CHECK(next == answer->state + 1);
    answer->state = next;
}

static bool is_bodiless(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static void append_number(struct buf *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
    } while ((number /= 10) > 0);
    buf_append(out, digits + at, sizeof(digits) - at);
}

static void append_connection(struct buf *out, const struct http_conn *conn)
{
    const struct http_exchange *exchange = conn->exchange;

    if (exchange->answer.is_close)
        buf_append_slice(out, SLICE_LITERAL("Connection: close\r\n"));
    else if (exchange->head.minor == 0)
        buf_append_slice(out, SLICE_LITERAL("Connection: keep-alive\r\n"));
}

static void append_status(struct http_server *server, int status)
{
    struct buf *out = &server->head;

    buf_append_slice(out, SLICE_LITERAL("HTTP/1.1 "));
    append_number(out, (uint64_t)status);
    buf_append_byte(out, ' ');
    buf_append_text(out, http_status_phrase(status));
    buf_append_slice(out, SLICE_LITERAL("\r\nDate: "));
    buf_append_text(out, server_date(server));
    buf_append_slice(out, SLICE_LITERAL("\r\n"));
}

/* The head, in server->head until the next one is made. */
static struct slice make_head(struct http_conn *conn, const struct http_response *response,
                              uint64_t length)
{
    const struct http_exchange *exchange = conn->exchange;
    struct buf *out = &conn->server->head;

    buf_clear(out);
    append_status(conn->server, response->status);
    buf_append_slice(out, response->headers);
    if (exchange->answer.is_chunked) {
        buf_append_slice(out, SLICE_LITERAL("Transfer-Encoding: chunked\r\n"));
    } else if (!is_bodiless(response->status) && length != HTTP_NO_LENGTH) {
        buf_append_slice(out, SLICE_LITERAL("Content-Length: "));
        append_number(out, length);
        buf_append_slice(out, SLICE_LITERAL("\r\n"));
    }
    append_connection(out, conn);
    buf_append_slice(out, SLICE_LITERAL("\r\n"));
    if (out->is_over)
        conn_fail(conn, HTTP_END_ABORTED);
    return buf_bytes(out);
}

/* Decide everything about the answer that follows from the request and the response. */
static void open_answer(struct http_conn *conn, const struct http_response *response,
                        uint64_t length)
{
    struct http_exchange *exchange = conn->exchange;
    struct http_answer *answer = &exchange->answer;
    bool has_length = length != HTTP_NO_LENGTH;

    answer_set_state(answer, HTTP_ANSWER_OPEN);
    answer->expected = length;
    answer->has_no_body = response->is_head || is_bodiless(response->status);
    answer->is_chunked = !has_length && !answer->has_no_body && exchange->head.minor == 1;
    /* A head without a length may be followed by the body that it should have announced. */
    bool is_unframed = response->status == 411;
    answer->is_close = !exchange->head.keep_alive || conn->server->is_draining ||
                       !exchange->in.is_over || is_unframed ||
                       (!has_length && !answer->has_no_body && !answer->is_chunked);
    /* A handler that answers wants no more of the body. */
    exchange->in.is_reading = false;
}

void http_conn_respond(struct http_conn *conn, const struct http_response *response,
                       struct slice body)
{
    struct http_exchange *exchange = conn->exchange;

    if (exchange->is_over)
        return;
    uint64_t length = response->is_head ? response->content_length : body.length;
    open_answer(conn, response, length);
    if (exchange->answer.has_no_body)
        body.length = 0;
    struct slice pieces[2] = {make_head(conn, response, length), body};
    exchange->answer.queued = body.length;
    answer_set_state(&exchange->answer, HTTP_ANSWER_ENDED);
    if (!exchange->is_over)
        send_pieces(conn, pieces, body.length > 0 ? 2 : 1);
    conn_schedule(conn);
}

void http_conn_begin(struct http_conn *conn, const struct http_response *response)
{
    struct http_exchange *exchange = conn->exchange;

    if (exchange->is_over)
        return;
    open_answer(conn, response, response->content_length);
    /* It is sent together with the first piece of the body. */
    buf_append_slice(&exchange->answer.out, make_head(conn, response, response->content_length));
    conn_schedule(conn);
}

/* Count a piece of the body. False: nothing of it is to be sent. */
static bool count_piece(struct http_conn *conn, uint64_t length)
{
    struct http_answer *answer = &conn->exchange->answer;

    if (conn->exchange->is_over)
        return false;
    CHECK(answer->state == HTTP_ANSWER_OPEN && answer->file_left == 0);
    answer->wants_drained = true;
    conn_schedule(conn);
    if (answer->has_no_body || length == 0)
        return false;
    bool is_too_much =
        answer->expected != HTTP_NO_LENGTH && length > answer->expected - answer->queued;
    if (is_too_much)
        conn_fail(conn, HTTP_END_ABORTED);
    else
        answer->queued += length;
    return !is_too_much;
}

/* "1f4\r\n" */
static struct slice print_chunk_size(uint64_t length, char out[20])
{
    size_t at = 20;

    out[--at] = '\n';
    out[--at] = '\r';
    do {
        out[--at] = "0123456789abcdef"[length % 16];
    } while ((length /= 16) > 0);
    return slice_from(out + at, 20 - at);
}

void http_conn_send_bytes(struct http_conn *conn, struct slice bytes)
{
    char size[20];

    if (!count_piece(conn, bytes.length))
        return;
    if (conn->exchange->answer.is_chunked) {
        struct slice pieces[3] = {print_chunk_size(bytes.length, size), bytes,
                                  SLICE_LITERAL("\r\n")};

        send_pieces(conn, pieces, 3);
    } else {
        send_pieces(conn, &bytes, 1);
    }
}

void http_conn_send_file(struct http_conn *conn, int fd, uint64_t offset, uint64_t length)
{
    struct http_answer *answer = &conn->exchange->answer;
    char size[20];

    if (!count_piece(conn, length))
        return;
    if (answer->is_chunked)
        buf_append_slice(&answer->out, print_chunk_size(length, size));
    if (fd != answer->file || offset != answer->file_offset)
        answer->probed_until = 0;
    answer->file = fd;
    answer->file_offset = offset;
    answer->file_left = length;
}

void http_conn_end(struct http_conn *conn)
{
    struct http_answer *answer = &conn->exchange->answer;

    if (conn->exchange->is_over)
        return;
    answer_set_state(answer, HTTP_ANSWER_ENDED);
    bool is_short = !answer->has_no_body && answer->expected != HTTP_NO_LENGTH &&
                    answer->queued < answer->expected;
    if (is_short)
        conn_fail(conn, HTTP_END_ABORTED);
    else if (answer->is_chunked)
        answer->is_last_due = true;
    conn_schedule(conn);
}

void http_conn_abort(struct http_conn *conn)
{
    conn_fail(conn, HTTP_END_ABORTED);
}

uint64_t http_conn_sent(const struct http_conn *conn)
{
    const struct http_answer *answer = &conn->exchange->answer;
    uint64_t unsent = answer->out.length + answer->file_left;

    return answer->queued > unsent ? answer->queued - unsent : 0;
}

void answer_refusal(struct http_conn *conn, const struct http_refusal *refusal)
{
    struct http_server *server = conn->server;
    struct buf *out = &server->head;

    buf_clear(out);
    append_status(server, refusal->status);
    if (refusal->status == 503)
        buf_append_slice(out, SLICE_LITERAL("Retry-After: 1\r\n"));
    buf_append_slice(out, SLICE_LITERAL("Content-Type: text/plain; charset=utf-8\r\n"
                                        "Connection: close\r\nContent-Length: "));
    append_number(out, strlen(refusal->reason) + 1);
    buf_append_slice(out, SLICE_LITERAL("\r\n\r\n"));
    if (!conn->is_head_refused) {
        buf_append_text(out, refusal->reason);
        buf_append_byte(out, '\n');
    }
    answer_raw(conn, buf_bytes(out));
}
