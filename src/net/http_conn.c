/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of one connection.
 *
 *   HANDSHAKE (at once for a plain stream)
 *     ↓      first byte            whole head               answered, kept
 *   ┌─ IDLE ────────────→ HEAD ────────────────→ REQUEST ──────────────────→ IDLE
 *   │   │ whole head at once ───────────────────────↑ │
 *   │   │ bad head                │ bad head, too slow │ body cut short by its own fault
 *   │   └───────────────→ REFUSING ←───────────────────┘
 *   │                        │ sent                  │ answered, "Connection: close"
 *   │                        └──────→ LINGER ←───────┘
 *   └──────────────────────────────────→ CLOSED (from every state)
 *
 * All work is done in conn_step. It makes progress until it cannot, calling the handler on the way,
 * and then sets the watch and the deadline that the state needs. The functions that a handler calls
 * only note what it wants; if no step is running, one is deferred. This is why no callback comes
 * from inside a call, and why nothing is freed that a caller further up still uses.
 */
#include "http_conn_parts.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"

static const char *const state_names[CONN_STATES] = {"handshake", "idle",   "head",  "request",
                                                     "refusing",  "linger", "closed"};

#define MAY(state) (1U << (state))
static const unsigned next_states[CONN_STATES] = {
    [CONN_HANDSHAKE] = MAY(CONN_IDLE) | MAY(CONN_CLOSED),
    [CONN_IDLE] = MAY(CONN_HEAD) | MAY(CONN_REQUEST) | MAY(CONN_REFUSING) | MAY(CONN_CLOSED),
    [CONN_HEAD] = MAY(CONN_REQUEST) | MAY(CONN_REFUSING) | MAY(CONN_CLOSED),
    [CONN_REQUEST] = MAY(CONN_IDLE) | MAY(CONN_REFUSING) | MAY(CONN_LINGER) | MAY(CONN_CLOSED),
    [CONN_REFUSING] = MAY(CONN_LINGER) | MAY(CONN_CLOSED),
    [CONN_LINGER] = MAY(CONN_CLOSED),
    [CONN_CLOSED] = 0,
};

static void log_move(const struct http_conn *conn, enum conn_state next)
{
    struct log_line line;

    log_begin(&line, LOG_DEBUG);
    log_u64(&line, "conn", conn->id);
    log_text(&line, "from", state_names[conn->state]);
    log_text(&line, "to", state_names[next]);
    log_end(&line, "connection changes state");
}

static void log_failed_handshake(const struct http_conn *conn, const char *why)
{
    struct log_line line;

    log_begin(&line, LOG_INFO);
    log_u64(&line, "conn", conn->id);
    log_text(&line, "client", conn->peer);
    log_end(&line, "handshake failed: %s", why);
}

static void free_conn(void *arg)
{
    struct http_conn *conn = arg;

    watch_free(&conn->watch);
    mem_free(conn->peer);
    mem_free(conn);
}

static void enter_closed(struct http_conn *conn)
{
    struct http_server *server = conn->server;

    watch_set(conn->watch, WATCH_NONE);
    stream_close(&conn->stream);
    server_set_deadline(conn, DEADLINES);
    list_remove(&conn->link);
    server->conn_count--;
    buf_cleanup(&conn->input);
    server_give_exchange(server, &conn->exchange);
    loop_defer(server->loop, free_conn, conn);
}

/* Bytes that arrive for a closed socket, or that are unread when it is closed, cause a reset, which
 * discards the part of the answer that the client has not read yet (RFC 9112 9.6). */
static void enter_linger(struct http_conn *conn)
{
    conn->is_end_due = stream_end(&conn->stream) == -EAGAIN;
    buf_cleanup(&conn->input);
    conn->linger_left = LINGER_BYTES;
    conn->unsent = UINT64_MAX;
    conn->taken_at = clock_mono();
    server_set_deadline(conn, DEADLINE_LINGER);
}

static void enter_state(struct http_conn *conn)
{
    bool is_draining = conn->server->is_draining;

    switch (conn->state) {
    case CONN_HANDSHAKE:
        server_set_deadline(conn, DEADLINE_HANDSHAKE);
        break;
    case CONN_IDLE:
        server_set_deadline(conn, is_draining ? DEADLINE_DRAIN : DEADLINE_KEEP_ALIVE);
        break;
    case CONN_HEAD:
        server_set_deadline(conn, DEADLINE_HEAD);
        break;
    case CONN_REFUSING:
        server_set_deadline(conn, DEADLINE_SEND);
        break;
    case CONN_LINGER:
        enter_linger(conn);
        break;
    case CONN_CLOSED:
        enter_closed(conn);
        break;
    case CONN_REQUEST: /* settle_conn() sets its deadline, if it lasts longer than a step */
    case CONN_STATES:
        break;
    }
}

void conn_set_state(struct http_conn *conn, enum conn_state next)
{
    CHECK(conn->state < CONN_STATES && next_states[conn->state] & MAY(next));
    if (log_is_on(LOG_DEBUG))
        log_move(conn, next);
    conn->state = next;
    enter_state(conn);
}

static void on_deferred_step(void *arg)
{
    struct http_conn *conn = arg;

    conn->is_step_deferred = false;
    conn->is_exhausted = false;
    conn_step(conn);
}

void conn_schedule(struct http_conn *conn)
{
    if (conn->is_stepping || conn->is_step_deferred || conn->state == CONN_CLOSED)
        return;
    conn->is_step_deferred = true;
    loop_defer(conn->server->loop, on_deferred_step, conn);
}

void conn_fail(struct http_conn *conn, enum http_end end)
{
    struct http_exchange *exchange = conn->exchange;

    if (exchange->is_over)
        return;
    exchange->is_over = true;
    exchange->end = end;
    conn_schedule(conn);
}

/* The only place where a handler is told that its request is over. */
static void tell_done(struct http_conn *conn, enum http_end end)
{
    conn->exchange->is_over = true; /* calls from inside on_done do nothing */
    conn->server->handler->on_done(conn, end);
}

static void end_request(struct http_conn *conn, enum http_end end)
{
    tell_done(conn, end);
    server_give_exchange(conn->server, &conn->exchange);
}

static void finish_sent(struct http_conn *conn)
{
    bool is_close = conn->exchange->answer.is_close;

    end_request(conn, HTTP_END_SENT);
    conn_set_state(conn, is_close ? CONN_LINGER : CONN_IDLE);
}

static void finish_failed(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    struct http_refusal refusal = exchange->refusal;

    if (exchange->answer.state != HTTP_ANSWER_NONE)
        refusal.status = 0;
    if (exchange->in.is_reading) {
        exchange->in.is_reading = false;
        conn->server->handler->on_body(conn, exchange->in.length, false);
    }
    if (refusal.status) {
        tell_done(conn, HTTP_END_REFUSED);
        conn_refuse(conn, &refusal);
        return;
    }
    end_request(conn, exchange->end);
    stream_set_reset(&conn->stream);
    conn_set_state(conn, CONN_CLOSED);
}

static bool step_request(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;

    if (!exchange->is_over)
        answer_flush(conn);
    if (exchange->is_over) {
        finish_failed(conn);
        return true;
    }
    struct http_answer *answer = &exchange->answer;
    bool is_empty = answer_is_empty(answer);
    if (is_empty && answer->state == HTTP_ANSWER_ENDED) {
        finish_sent(conn);
        return true;
    }
    if (is_empty && answer->wants_drained) {
        answer->wants_drained = false;
        conn->server->handler->on_drained(conn);
        return true;
    }
    return exchange->in.is_reading && body_step(conn);
}

static bool step_refusing(struct http_conn *conn)
{
    if (!conn->exchange->is_over)
        answer_flush(conn);
    if (conn->exchange->is_over) {
        conn_set_state(conn, CONN_CLOSED);
        return true;
    }
    if (!answer_is_empty(&conn->exchange->answer))
        return false;
    server_give_exchange(conn->server, &conn->exchange);
    conn_set_state(conn, CONN_LINGER);
    return true;
}

static bool step_handshake(struct http_conn *conn)
{
    const struct http_refusal too_many = {503, "There are too many connections."};
    struct error err = {0};
    int rc = stream_needs_handshake(&conn->stream) ? stream_handshake(&conn->stream, &err) : 0;

    if (rc == -EAGAIN)
        return false;
    if (rc < 0) {
        if (err.kind != ERR_CANCELLED)
            log_failed_handshake(conn, err.text);
        conn_set_state(conn, CONN_CLOSED);
        return true;
    }
    if (conn->stream.peer) {
        mem_free(conn->peer);
        conn->peer = TAKE(conn->stream.peer);
    }
    conn_set_state(conn, CONN_IDLE);
    conn->is_readable = stream_has_pending(&conn->stream);
    if (conn->is_unwelcome)
        conn_refuse(conn, &too_many);
    return true;
}

static bool step_linger(struct http_conn *conn)
{
    if (conn->is_end_due)
        conn->is_end_due = stream_end(&conn->stream) == -EAGAIN;
    if (!conn->is_readable || conn->linger_left == 0)
        return false;
    conn->is_readable = false;
    ssize_t got = stream_recv(&conn->stream, conn->server->scratch, RECV_HEAD);
    if (got == -EAGAIN)
        return false;
    if (got > 0 && (size_t)got < conn->linger_left)
        conn->linger_left -= (size_t)got;
    else if (got > 0 && stream_unsent(&conn->stream) > 0)
        conn->linger_left = 0; /* enough was read; the deadline ends the connection */
    else
        conn_set_state(conn, CONN_CLOSED);
    return true;
}

static bool step_head(struct http_conn *conn)
{
    if (conn_take_pipelined(conn))
        return true;
    if (!conn->is_readable)
        return false;
    conn->is_readable = false;
    return conn_recv_head(conn);
}

static bool step_once(struct http_conn *conn)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
        return step_handshake(conn);
    case CONN_IDLE:
    case CONN_HEAD:
        return step_head(conn);
    case CONN_REQUEST:
        return step_request(conn);
    case CONN_REFUSING:
        return step_refusing(conn);
    case CONN_LINGER:
        return step_linger(conn);
    case CONN_CLOSED:
    case CONN_STATES:
        break;
    }
    return false;
}

static bool is_sending(const struct http_conn *conn)
{
    const struct http_answer *answer = &conn->exchange->answer;

    return !answer_is_empty(answer) && !answer->ahead;
}

/* Does this state wait for bytes from the client? */
static bool is_receiving(const struct http_conn *conn)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
    case CONN_IDLE:
    case CONN_HEAD:
        return true;
    case CONN_REQUEST:
        return conn->exchange->in.is_reading;
    case CONN_LINGER:
        return conn->linger_left > 0;
    case CONN_REFUSING:
    case CONN_CLOSED:
    case CONN_STATES:
        break;
    }
    return false;
}

/* While a handler works, the stream is watched for reading until there is something to read, which
 * is left there: it is the next request, or the end of what the client sends, and a client that has
 * ended its side may still want the answer. A reset is noticed this way; a client that has just
 * left is noticed when a write to it fails. */
static unsigned wanted_events(const struct http_conn *conn)
{
    unsigned want = is_receiving(conn) ? conn->stream.recv_wants : WATCH_NONE;

    switch (conn->state) {
    case CONN_REQUEST:
        if (is_sending(conn))
            want |= conn->stream.send_wants;
        if (want == WATCH_NONE && conn->watched == WATCH_READ && !conn->is_read_done)
            want = WATCH_READ;
        return want;
    case CONN_REFUSING:
        return conn->stream.send_wants;
    case CONN_LINGER:
        return conn->is_end_due ? want | conn->stream.send_wants : want;
    case CONN_HANDSHAKE:
    case CONN_IDLE:
    case CONN_HEAD:
        return want;
    case CONN_CLOSED:
    case CONN_STATES:
        break;
    }
    return WATCH_NONE;
}

static void settle_deadline(struct http_conn *conn)
{
    enum deadline kind = DEADLINES;

    if (is_sending(conn))
        kind = DEADLINE_SEND;
    else if (conn->exchange->in.is_reading)
        kind = DEADLINE_BODY;
    if (kind == conn->deadline_kind && (kind == DEADLINES || !conn->has_moved))
        return;
    server_set_deadline(conn, kind);
    if (kind == DEADLINE_SEND)
        conn->unsent = stream_unsent(&conn->stream);
}

/* After a step: wait for the events that the state needs. */
static void settle_conn(struct http_conn *conn)
{
    unsigned want = wanted_events(conn);

    if (want != conn->watched) {
        conn->watched = want;
        watch_set(conn->watch, want);
    }
    if (conn->state == CONN_REQUEST)
        settle_deadline(conn);
    conn->has_moved = false;
    if (is_receiving(conn) && stream_has_pending(&conn->stream)) {
        conn->is_readable = true;
        conn_schedule(conn);
    }
}

void conn_step(struct http_conn *conn)
{
    if (conn->is_stepping)
        return;
    unsigned steps = 0;
    conn->is_stepping = true;
    while (steps < STEPS_A_TURN && step_once(conn))
        steps++;
    conn->is_stepping = false;
    if (conn->state == CONN_CLOSED)
        return;
    if (steps == STEPS_A_TURN)
        conn_schedule(conn);
    settle_conn(conn);
}

/* The peer has sent something while the handler works. */
static void look_at_peer(struct http_conn *conn)
{
    enum stream_peer peer = stream_look(&conn->stream);

    conn->is_read_done = peer != STREAM_PEER_QUIET;
    if (peer == STREAM_PEER_BROKEN)
        conn_fail(conn, HTTP_END_GONE);
}

static void on_conn_watch(unsigned ready, void *arg)
{
    struct http_conn *conn = arg;

    conn->is_exhausted = false;
    if (ready & conn->stream.send_wants)
        conn->is_blocked = false;
    if (ready & conn->stream.recv_wants)
        conn->is_readable = true;
    if (conn->state == CONN_REQUEST && (ready & WATCH_READ) && !conn->exchange->in.is_reading)
        look_at_peer(conn);
    conn_step(conn);
}

static void on_idle_deadline(struct http_conn *conn)
{
    /* A request may have come since this turn began. */
    conn->is_readable = true;
    conn_step(conn);
    if (conn->state == CONN_IDLE && conn->deadline_kind == DEADLINES)
        conn_set_state(conn, CONN_CLOSED);
}

/* The socket becomes writable only when a large part of its buffer is free, which can take a slow
 * client minutes. So look whether it has taken any of the bytes that the kernel holds. */
static bool has_taken_some(struct http_conn *conn)
{
    uint64_t unsent = stream_unsent(&conn->stream);
    bool is_less = unsent < conn->unsent;

    conn->unsent = unsent;
    return is_less;
}

static void on_request_deadline(struct http_conn *conn, enum deadline kind)
{
    if (kind == DEADLINE_SEND && has_taken_some(conn)) {
        server_set_deadline(conn, DEADLINE_SEND);
        return;
    }
    if (kind == DEADLINE_BODY)
        conn->exchange->refusal = (struct http_refusal){408, "The body did not arrive in time."};
    conn_fail(conn, HTTP_END_GONE);
    conn_step(conn);
}

static void on_head_deadline(struct http_conn *conn)
{
    const struct http_refusal too_slow = {408, "The request head did not arrive in time."};

    if (slice_is(buf_bytes(&conn->input), "\r\n")) {
        /* Old clients send a line end after their last request and expect no answer to it. */
        conn_set_state(conn, CONN_CLOSED);
        return;
    }
    conn_refuse_head(conn, buf_bytes(&conn->input), &too_slow);
    conn_step(conn);
}

/* As long as the client takes bytes that the kernel holds, the time limit is that of sending. */
static void on_linger_deadline(struct http_conn *conn)
{
    struct monotime now = clock_mono();

    if (has_taken_some(conn))
        conn->taken_at = now;
    if (conn->unsent > 0 &&
        monotime_since(now, conn->taken_at) < conn->server->settings->send_timeout_ms) {
        server_set_deadline(conn, DEADLINE_LINGER);
        return;
    }
    stream_set_reset(&conn->stream);
    conn_set_state(conn, CONN_CLOSED);
}

void conn_on_deadline(struct http_conn *conn, enum deadline kind)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
        log_failed_handshake(conn, "it did not end in time");
        conn_set_state(conn, CONN_CLOSED);
        break;
    case CONN_IDLE:
        on_idle_deadline(conn);
        break;
    case CONN_HEAD:
        on_head_deadline(conn);
        break;
    case CONN_REQUEST:
        on_request_deadline(conn, kind);
        break;
    case CONN_LINGER:
        on_linger_deadline(conn);
        break;
    case CONN_REFUSING:
        stream_set_reset(&conn->stream);
        conn_set_state(conn, CONN_CLOSED);
        break;
    case CONN_CLOSED:
    case CONN_STATES:
        break;
    }
}

void conn_open(struct http_server *server, const struct stream *stream, const char *peer,
               bool is_too_many)
{
    struct http_conn *conn = NEW(struct http_conn);

    conn->server = server;
    conn->stream = *stream;
    conn->is_unwelcome = is_too_many;
    conn->watch = watch_new(server->loop, conn->stream.fd, on_conn_watch, conn);
    conn->id = ++server->last_id;
    conn->peer = mem_strdup(peer);
    conn->deadline_kind = DEADLINES;
    list_init(&conn->deadline_link);
    buf_init(&conn->input, INPUT_MAX);
    list_append(&server->conns, &conn->link);
    server->conn_count++;
    if (stream_needs_handshake(stream))
        enter_state(conn);
    (void)step_handshake(conn);
    if (conn->state == CONN_REFUSING)
        conn_schedule(conn);
    if (conn->state != CONN_CLOSED)
        settle_conn(conn);
}

void conn_kill(struct http_conn *conn)
{
    struct loop *loop = conn->server->loop;

    if (conn->state == CONN_REQUEST) {
        end_request(conn, HTTP_END_GONE);
        stream_set_reset(&conn->stream);
    }
    conn_set_state(conn, CONN_CLOSED);
    loop_cancel_deferred(loop, conn);
    free_conn(conn);
}

void http_conn_set_user(struct http_conn *conn, void *user)
{
    conn->exchange->user = user;
}

void *http_conn_user(const struct http_conn *conn)
{
    return conn->exchange->user;
}

const char *http_conn_peer(const struct http_conn *conn)
{
    return conn->peer;
}

bool http_conn_is_relayed(const struct http_conn *conn)
{
    return conn->stream.is_relayed;
}

void http_conn_print_local(const struct http_conn *conn, char out[ADDRESS_TEXT_SIZE])
{
    struct error ignored;

    if (listener_print_address(conn->stream.fd, out, &ignored) != 0)
        out[0] = '\0';
}

bool http_conn_has_ended(struct http_conn *conn)
{
    return stream_look(&conn->stream) == STREAM_PEER_ENDED;
}

uint64_t http_conn_id(const struct http_conn *conn)
{
    return conn->id;
}
