/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request. The handler asks for it, and it is received straight into the handler's
 * buffer. A chunked body is received there as well and decoded in place: the framing is cut out and
 * the data moves to the front, so there is no second buffer.
 *
 *   buffer:  |--- decoded ---|--- received, not decoded ---|--- room ---|
 *
 * Invariant: bytes received beyond the end of the body go to conn->input, for the next request.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "http_conn_parts.h"

void body_begin(struct http_exchange *exchange)
{
    const struct http_head *head = &exchange->head;
    struct body_in *in = &exchange->in;

    in->left = head->content_length;
    if (head->body == HTTP_BODY_CHUNKED)
        http_chunked_init(&in->chunked);
    else
        in->is_over = in->left == 0;
}

static size_t smaller(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

/* Decode `fresh` bytes that follow the decoded ones. */
static void decode_chunks(struct http_conn *conn, size_t fresh)
{
    struct body_in *in = &conn->exchange->in;
    struct slice rest = slice_from(in->buffer + in->length, fresh);

    while (rest.length > 0) {
        struct slice data = {NULL, 0};
        size_t used = 0;
        enum http_chunked_verdict verdict = http_chunked_feed(
            &in->chunked, rest, rest.length, &used, &data, &conn->exchange->refusal);

        rest = slice_skip(rest, used);
        if (verdict == CHUNKED_DATA) {
            memmove(in->buffer + in->length, data.data, data.length);
            in->length += data.length;
        } else if (verdict == CHUNKED_END) {
            in->is_over = true;
            break;
        } else if (verdict == CHUNKED_REFUSED) {
            conn_fail(conn, HTTP_END_GONE);
            return;
        }
    }
    buf_append_slice(&conn->input, rest);
}

static void take_body(struct http_conn *conn, size_t fresh)
{
    struct http_exchange *exchange = conn->exchange;
    struct body_in *in = &exchange->in;

    if (exchange->head.body == HTTP_BODY_CHUNKED) {
        decode_chunks(conn, fresh);
        return;
    }
    in->length += fresh;
    in->left -= fresh;
    in->is_over = in->left == 0;
}

/* How many bytes may be received into the buffer. */
static size_t room_of(const struct http_exchange *exchange)
{
    const struct body_in *in = &exchange->in;
    size_t room = smaller(in->capacity - in->length, RECV_BODY);

    if (exchange->head.body == HTTP_BODY_CHUNKED)
        return room;
    return smaller(room, in->left);
}

/* Use the bytes that came together with the head. */
static void take_input(struct http_conn *conn)
{
    struct body_in *in = &conn->exchange->in;

    while (conn->input.length > 0 && !in->is_over && !conn->exchange->is_over) {
        size_t length = smaller(conn->input.length, room_of(conn->exchange));

        if (length == 0)
            return;
        memcpy(in->buffer + in->length, buf_bytes(&conn->input).data, length);
        /* Decoding may put bytes back into conn->input; the rest of the input belongs after them.
         */
        struct buf input = conn->input;
        buf_consume(&input, length);
        conn->input = (struct buf){0};
        buf_init(&conn->input, INPUT_MAX);
        take_body(conn, length);
        buf_append_slice(&conn->input, buf_bytes(&input));
        buf_cleanup(&input);
    }
    if (conn->input.length == 0)
        buf_cleanup(&conn->input);
}

/* Compares the average rate over the time in which we waited for the body. */
static bool is_too_slow(const struct http_conn *conn)
{
    const struct http_settings *settings = conn->server->settings;
    const struct body_in *in = &conn->exchange->in;
    uint64_t ms = in->waited_ms + monotime_since(clock_mono(), in->asked_at);

    return ms > settings->body_grace_ms &&
           in->received < (ms - settings->body_grace_ms) * settings->body_rate / 1000;
}

static void recv_body(struct http_conn *conn)
{
    struct body_in *in = &conn->exchange->in;
    size_t room = room_of(conn->exchange);

    if (conn->is_exhausted || in->is_over || room == 0)
        return;
    ssize_t got = stream_recv(&conn->stream, in->buffer + in->length, room);
    conn->is_readable = false;
    conn->is_exhausted = true; /* one receive in a turn */
    if (got == -EAGAIN)
        return;
    if (got <= 0) {
        conn_fail(conn, HTTP_END_GONE);
        return;
    }
    conn->has_moved = true;
    in->received += (size_t)got;
    take_body(conn, (size_t)got);
    if (stream_has_pending(
            &conn->stream)) /* judge it when everything that has arrived is counted */
        return;
    if (!in->is_over && !conn->exchange->is_over && is_too_slow(conn)) {
        conn->exchange->refusal = (struct http_refusal){408, "The body arrives too slowly."};
        conn_fail(conn, HTTP_END_GONE);
    }
}

bool body_step(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    struct body_in *in = &exchange->in;

    if (!in->is_over)
        take_input(conn);
    if (!exchange->is_over)
        recv_body(conn);
    if (exchange->is_over)
        return true; /* the next step ends it */
    if (!in->is_over && in->length < in->capacity)
        return false;
    in->is_reading = false;
    in->waited_ms += monotime_since(clock_mono(), in->asked_at);
    conn->server->handler->on_body(conn, in->length, in->is_over);
    return true;
}

void http_conn_read_body(struct http_conn *conn, void *buffer, size_t capacity)
{
    struct http_exchange *exchange = conn->exchange;
    struct body_in *in = &exchange->in;

    if (exchange->is_over)
        return;
    CHECK(!in->is_reading && capacity > 0);
    in->is_reading = true;
    in->asked_at = clock_mono();
    in->buffer = buffer;
    in->capacity = capacity;
    in->length = 0;
    bool is_awaited = exchange->head.expects_continue && !in->is_over && !in->is_begun;
    /* A client that has sent bytes already does not wait (RFC 9110 10.1.1). */
    if (is_awaited && conn->input.length == 0 && !stream_has_pending(&conn->stream) &&
        exchange->answer.state == HTTP_ANSWER_NONE)
        answer_raw(conn, SLICE_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
    in->is_begun = true;
    conn_schedule(conn);
}
