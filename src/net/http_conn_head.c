/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request heads. They are received into a scratch buffer of the server and parsed there; a
 * connection keeps bytes of its own only while its head is incomplete, so an idle connection has no
 * buffer. The bytes of a complete head are copied once, into the exchange, where the handler's
 * slices point.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "http_conn_parts.h"

/* Bytes of a head that are moved to `to`, all but those of a hole. */
struct head_move {
    const char *from;
    char *to;
    struct slice hole;
};

static void move_slice(const struct head_move *move, struct slice *slice)
{
    if (!slice->data)
        return;
    size_t at = (size_t)(slice->data - move->from);
    if (slice->data > move->hole.data)
        at -= move->hole.length;
    slice->data = move->to + at;
}

/* The long value of a Range, which is kept apart so that it can be dropped; else nothing. */
static struct http_header *long_range(struct http_head *head, size_t length)
{
    if (length <= RANGE_APART)
        return NULL;
    for (unsigned i = 0; i < head->header_count; i++) {
        if (slice_is_nocase(head->headers[i].name, "Range"))
            return head->headers[i].value.length > RANGE_APART ? &head->headers[i] : NULL;
    }
    return NULL;
}

/* Copy the bytes of the head into an exchange and let its slices point there. Returns the exchange,
 * which may have moved. */
static struct http_exchange *keep_head(struct http_exchange *exchange, struct slice bytes)
{
    struct http_header *range = long_range(&exchange->head, bytes.length);
    struct slice hole = range ? range->value : slice_from(bytes.data + bytes.length, 0);
    struct slice before = slice_from(bytes.data, (size_t)(hole.data - bytes.data));
    struct slice after = slice_skip(bytes, before.length + hole.length);

    if (range) {
        range->value.data = NULL;
        range->value.length = 0;
    }
    exchange = server_enlarge_exchange(exchange, before.length + after.length);
    memcpy(exchange->bytes, before.data, before.length);
    memcpy(exchange->bytes + before.length, after.data, after.length);
    struct http_head *head = &exchange->head;
    struct head_move move = {.from = bytes.data, .to = exchange->bytes, .hole = hole};
    move_slice(&move, &head->method);
    move_slice(&move, &head->target);
    move_slice(&move, &head->host);
    for (unsigned i = 0; i < head->header_count; i++) {
        struct http_header *header = &head->headers[i];
        bool is_range = !header->value.data;

        move_slice(&move, &header->name);
        move_slice(&move, &header->value);
        if (is_range && hole.length > 0) {
            exchange->range = mem_strndup(hole.data, hole.length);
            header->value = slice_from(exchange->range, hole.length);
        }
    }
    return exchange;
}

void http_conn_drop_range(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;

    if (!exchange->range)
        return;
    for (unsigned i = 0; i < exchange->head.header_count; i++) {
        struct slice *value = &exchange->head.headers[i].value;

        if (value->data == exchange->range)
            *value = slice_from("", 0);
    }
    mem_free(TAKE(exchange->range));
}

void conn_refuse(struct http_conn *conn, const struct http_refusal *refusal)
{
    struct http_server *server = conn->server;
    /* `refusal` may live in the exchange that is given back. */
    struct http_refusal kept = *refusal;
    struct http_exchange *exchange = server_take_exchange(server);

    buf_cleanup(&conn->input);
    if (conn->exchange) {
        /* The client may have received only a part of "100 Continue". */
        exchange->answer.out = conn->exchange->answer.out;
        buf_init(&conn->exchange->answer.out, OUTPUT_MAX);
    }
    server_give_exchange(server, &conn->exchange);
    conn->exchange = exchange;
    conn_set_state(conn, CONN_REFUSING);
    answer_refusal(conn, &kept);
    if (server->handler->on_refused)
        server->handler->on_refused(&kept, conn->peer, server->arg);
}

/* The answer to a HEAD has no body, even if the rest of the head is malformed. */
void conn_refuse_head(struct http_conn *conn, struct slice bytes,
                      const struct http_refusal *refusal)
{
    if (slice_starts_with(bytes, "\r\n"))
        bytes = slice_skip(bytes, 2);
    conn->is_head_refused = slice_starts_with(bytes, "HEAD ");
    conn_refuse(conn, refusal);
}

static void start_request(struct http_conn *conn, struct http_exchange *exchange)
{
    const struct http_handler *handler = conn->server->handler;

    conn->exchange = exchange;
    conn->is_read_done = false;
    conn_set_state(conn, CONN_REQUEST);
    body_begin(exchange);
    handler->on_request(conn, &exchange->head, conn->server->arg);
}

/* A long head is not parsed again for every byte: wait until it has doubled. */
static void wait_for_more(struct http_conn *conn, size_t have)
{
    conn->parse_at = have < 64 ? 64 : (uint32_t)(have * 2);
    if (conn->state == CONN_IDLE)
        conn_set_state(conn, CONN_HEAD);
}

/* `bytes` are those of conn->input, or lie in the scratch buffer while conn->input is empty. */
static void take_head(struct http_conn *conn, struct slice bytes)
{
    bool is_input = conn->input.length > 0;
    struct http_exchange *exchange = server_take_exchange(conn->server);
    struct http_refusal refusal = {0};
    size_t length = 0;
    enum http_verdict verdict =
        http_parse_head(bytes, &conn->server->settings->limits, &exchange->head, &length, &refusal);

    if (verdict != HTTP_HEAD)
        server_give_exchange(conn->server, &exchange);
    if (verdict == HTTP_REFUSED) {
        conn_refuse_head(conn, bytes, &refusal);
        return;
    }
    if (verdict == HTTP_MORE) {
        if (!is_input)
            buf_append_slice(&conn->input, bytes);
        wait_for_more(conn, bytes.length);
        return;
    }
    exchange = keep_head(exchange, slice_from(bytes.data, length));
    if (is_input)
        buf_consume(&conn->input, length);
    else
        buf_append_slice(&conn->input, slice_skip(bytes, length));
    if (conn->input.length == 0)
        buf_cleanup(&conn->input);
    start_request(conn, exchange);
}

/* A head of ordinary size is parsed whenever bytes arrive, so that errors are answered at once; a
 * long one when a line may have ended or enough has arrived. */
static bool is_worth_parsing(const struct http_conn *conn, const char *added, size_t length)
{
    return conn->input.length <= PARSE_ALWAYS || conn->input.length >= conn->parse_at ||
           memchr(added, '\n', length);
}

static void lose_head(struct http_conn *conn)
{
    /* The client has left, between requests or within a head: no answer could reach it. */
    conn_set_state(conn, CONN_CLOSED);
}

static ssize_t recv_more(struct http_conn *conn)
{
    char *room = buf_reserve(&conn->input, RECV_HEAD);

    CHECK(room); /* heads are refused long before INPUT_MAX */
    ssize_t got = stream_recv(&conn->stream, room, RECV_HEAD);
    if (got <= 0)
        return got;
    buf_added(&conn->input, (size_t)got);
    if (is_worth_parsing(conn, room, (size_t)got))
        take_head(conn, buf_bytes(&conn->input));
    return got;
}

bool conn_recv_head(struct http_conn *conn)
{
    ssize_t got;

    if (conn->input.length > 0) {
        got = recv_more(conn);
    } else {
        got = stream_recv(&conn->stream, conn->server->scratch, RECV_HEAD);
        if (got > 0)
            take_head(conn, slice_from(conn->server->scratch, (size_t)got));
    }
    if (got == 0 || (got < 0 && got != -EAGAIN))
        lose_head(conn);
    return got != -EAGAIN;
}

bool conn_take_pipelined(struct http_conn *conn)
{
    if (conn->state != CONN_IDLE || conn->input.length == 0)
        return false;
    take_head(conn, buf_bytes(&conn->input));
    return conn->state != CONN_HEAD;
}
