/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client connection: requests in, one at a time, answers out. Knows HTTP, not registries, and
 * reads and writes through a stream (net/stream.h), which may be plain or encrypted.
 *
 *   HANDSHAKE → IDLE → HEAD → REQUEST (on_request … body … answer) → IDLE, or LINGER (the answer is
 *   sent, what the client still sends is read and dropped) → closed
 *
 * For the handler, a request is: on_request; then it may read the body (http_conn_read_body →
 * on_body, again and again); and it answers once (http_conn_respond, or http_conn_begin …
 * http_conn_end). on_done ends the request, always, exactly once, also when the client went away:
 * after it the handler holds nothing of the connection. Callbacks never come from inside the call
 * that caused them, but for on_request's own.
 */
#ifndef NET_HTTP_CONN_H
#define NET_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "net/http_parser.h"

struct http_conn;
struct http_server;
struct loop;
struct pool;
struct stream_kind;

/* Limits of every connection of a server. */
struct http_settings {
    struct http_limits limits;
    uint64_t handshake_timeout_ms;  /* of a stream that needs one */
    uint64_t head_timeout_ms;       /* from the first byte to the end of the head */
    uint64_t body_idle_timeout_ms;  /* without a byte of body */
    uint64_t body_grace_ms;         /* after so long of waiting for a body, … */
    uint64_t body_rate;             /* … at least so many bytes a second of the time beyond it */
    uint64_t keep_alive_timeout_ms; /* idle between requests */
    uint64_t send_timeout_ms;       /* without a byte taken by the client's kernel */
    unsigned connections_max;       /* some over it are still told that they are too many */
};

/* How an answer ended. */
enum http_end {
    HTTP_END_SENT,    /* the whole answer was taken by the kernel */
    HTTP_END_GONE,    /* the client closed, or reset, or was too slow */
    HTTP_END_REFUSED, /* its body was bad or too slow: on_refused follows */
    HTTP_END_ABORTED  /* http_conn_abort */
};

/* Who is told what a client sends and takes. */
struct http_handler {
    /* A whole head is here. `head` lives until on_done. */
    void (*on_request)(struct http_conn *conn, const struct http_head *head, void *arg);
    /* The buffer given to http_conn_read_body is full, or the body is over: `length` bytes are in
     * it. When the client goes away in the middle, what had come is still delivered with is_end
     * false, and on_done follows. */
    void (*on_body)(struct http_conn *conn, size_t length, bool is_end);
    /* All that was queued by http_conn_send_… is sent; more may be queued, or http_conn_end called.
     * Does not come when http_conn_end was called before. */
    void (*on_drained)(struct http_conn *conn);
    void (*on_done)(struct http_conn *conn, enum http_end end);
    /* The connection answers by itself, in text/plain, and closes: a bad or slow head, one client
     * too many (503), or a bad or slow body, whose on_done (HTTP_END_REFUSED) came just before. For
     * logs and counters; may be NULL. `peer` is printable. */
    void (*on_refused)(const struct http_refusal *refusal, const char *peer, void *arg);
};

/* A response head. */
struct http_response {
    int status;
    struct slice headers;    /* "Name: value\r\n" each; without Content-Length, Date, Connection */
    uint64_t content_length; /* HTTP_NO_LENGTH: chunked for 1.1, until close for 1.0 */
    bool is_head;            /* the head alone is sent */
};

/* `handler` and `settings` are borrowed. The process must ignore SIGPIPE: sendfile has no flag
 * against it. */
struct http_server *http_server_new(struct loop *loop, struct pool *pool,
                                    const struct http_settings *settings,
                                    const struct http_handler *handler, void *arg);
/* Closes all connections (on_done is called for running requests). */
void http_server_free(struct http_server **server);
/* Takes an accepted, connected socket over; `kind` is the listener's and says how bytes are carried
 * on it (&stream_plain). `peer` is its printable address, copied. With is_too_many the client gets
 * 503 and the connection is closed. */
void http_server_adopt(struct http_server *server, const struct stream_kind *kind, int *fd,
                       const char *peer, bool is_too_many);
/* From now on: idle connections are closed, the next answer of each other one says "Connection:
 * close". A connection whose client has sent nothing yet, or is between keep-alive requests,
 * answers its next request with close and is closed when idle for 1 s. */
void http_server_drain(struct http_server *server);
unsigned http_server_connections(const struct http_server *server);

/* The handler's own pointer for the request; NULL at on_request. */
void http_conn_set_user(struct http_conn *conn, void *user);
void *http_conn_user(const struct http_conn *conn);
const char *http_conn_peer(const struct http_conn *conn);
/* Has the client sent its end? It left, or wants no more than the answer: nobody can tell which. */
bool http_conn_has_ended(struct http_conn *conn);
uint64_t http_conn_id(const struct http_conn *conn);
/* Bytes of body sent for the current answer. */
uint64_t http_conn_sent(const struct http_conn *conn);

/* Read the next bytes of the body into `buffer` (the caller's, alive until on_body or on_done).
 * Sends "100 Continue" when the client waits for it and this is the first call. Without a body,
 * on_body comes with 0 bytes and is_end. */
void http_conn_read_body(struct http_conn *conn, void *buffer, size_t capacity);

/* A whole answer; `body` is copied where the socket does not take it at once. When the request's
 * body was not read, the connection is closed lingering afterwards (RFC 9112 9.6): shutdown for
 * writing, ≤ 64 KiB or 2 s read. */
void http_conn_respond(struct http_conn *conn, const struct http_response *response,
                       struct slice body);
/* An answer in pieces: the head now; then send_…; then http_conn_end. Sending less than
 * content_length and calling http_conn_end aborts. */
void http_conn_begin(struct http_conn *conn, const struct http_response *response);
void http_conn_send_bytes(struct http_conn *conn, struct slice bytes); /* copied */
/* `fd` is borrowed until on_drained or on_done. One piece at a time: after on_drained the next. At
 * most 1 MiB of it is sent in a turn of the loop; the pool reads ahead when it is not in memory. */
void http_conn_send_file(struct http_conn *conn, int fd, uint64_t offset, uint64_t length);
void http_conn_end(struct http_conn *conn);
/* The answer cannot be finished: reset, so that no client takes it for whole. on_done follows with
 * HTTP_END_ABORTED. */
void http_conn_abort(struct http_conn *conn);

/* The usual phrase: "Not Found". */
const char *http_status_phrase(int status);

#endif
