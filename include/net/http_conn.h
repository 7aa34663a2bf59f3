/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client connection: it reads requests, one at a time, and writes answers. It knows HTTP and
 * nothing of registries. It reads and writes through a stream (net/stream.h), plain or encrypted.
 *
 *   HANDSHAKE → IDLE → HEAD → REQUEST (on_request … body … answer) → IDLE, or LINGER (the answer is
 *   sent, what the client still sends is read and dropped) → closed
 *
 * A request begins with on_request. The handler may then read the body (http_conn_read_body, which
 * leads to on_body, as often as it likes), and answers once (http_conn_respond, or http_conn_begin
 * … http_conn_end). on_done ends every request, exactly once, also when the client has gone away;
 * after it the handler must not use the connection for this request. No callback comes from inside
 * a call, except that http_server_adopt may call on_refused and http_server_free calls on_done.
 */
#ifndef NET_HTTP_CONN_H
#define NET_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "net/http_parser.h"
#include "net/listener.h"

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
    uint64_t body_idle_timeout_ms;  /* without any byte of the body */
    uint64_t body_grace_ms;         /* after waiting for the body this long in all, … */
    uint64_t body_rate;             /* … this many bytes a second are required beyond it */
    uint64_t keep_alive_timeout_ms; /* idle between requests */
    uint64_t send_timeout_ms;       /* while the client's kernel takes nothing */
    unsigned connections_max;       /* a few more are accepted and get 503 */
};

/* How an answer ended. */
enum http_end {
    HTTP_END_SENT,    /* the whole answer was taken by the kernel */
    HTTP_END_GONE,    /* the client closed or reset the connection, or was too slow */
    HTTP_END_REFUSED, /* the body was malformed or too slow: on_refused follows */
    HTTP_END_ABORTED  /* http_conn_abort */
};

/* The user of a server: it is called for what clients send and take. */
struct http_handler {
    /* A complete head has arrived. `head` lives until on_done. */
    void (*on_request)(struct http_conn *conn, const struct http_head *head, void *arg);
    /* The buffer given to http_conn_read_body is full, or the body has ended: `length` bytes were
     * written to it. If the client goes away in the middle, the bytes that arrived are delivered
     * with is_end false, and on_done follows. */
    void (*on_body)(struct http_conn *conn, size_t length, bool is_end);
    /* Everything that http_conn_send_… has queued is sent: queue more, or call http_conn_end. It
     * is not called after http_conn_end. */
    void (*on_drained)(struct http_conn *conn);
    void (*on_done)(struct http_conn *conn, enum http_end end);
    /* The connection answers by itself, in text/plain, and closes: the head was malformed or slow,
     * there are too many clients (503), or the body was malformed or slow, in which case on_done
     * (HTTP_END_REFUSED) has just been called. For logs and counters; may be NULL. `peer` is
     * printable. */
    void (*on_refused)(const struct http_refusal *refusal, const char *peer, void *arg);
};

/* A response head. */
struct http_response {
    int status;
    struct slice headers;    /* "Name: value\r\n" each; without Content-Length, Date, Connection */
    uint64_t content_length; /* HTTP_NO_LENGTH: chunked for 1.1, until close for 1.0 */
    bool is_head;            /* only the head is sent */
};

/* `handler` and `settings` are borrowed. The process must ignore SIGPIPE: sendfile has no flag
 * against it. */
struct http_server *http_server_new(struct loop *loop, struct pool *pool,
                                    const struct http_settings *settings,
                                    const struct http_handler *handler, void *arg);
/* Closes all connections; on_done is called for the requests that are running. */
void http_server_free(struct http_server **server);
/* Takes an accepted, connected socket over; `kind` is the listener's and says how bytes are carried
 * on it (&stream_plain). `peer` is its printable address, copied. With is_too_many the client gets
 * 503 and the connection is closed. */
void http_server_adopt(struct http_server *server, const struct stream_kind *kind, int *fd,
                       const char *peer, bool is_too_many);
/* From now on each connection closes after its next answer, which says "Connection: close". A
 * connection without a request is closed when none comes within a second. */
void http_server_drain(struct http_server *server);
/* Other settings, borrowed like the first; they may be the same struct with other values. Timeouts
 * that are running become shorter if the new ones are, but not longer. */
void http_server_set_settings(struct http_server *server, const struct http_settings *settings);
unsigned http_server_connections(const struct http_server *server);

/* The handler's own pointer for the request; NULL at on_request. */
void http_conn_set_user(struct http_conn *conn, void *user);
void *http_conn_user(const struct http_conn *conn);
/* The client: the other end of the connection, or whom the handshake found behind it. */
const char *http_conn_peer(const struct http_conn *conn);
/* Has a proxy made the connection, and said so in the handshake? */
bool http_conn_is_relayed(const struct http_conn *conn);
/* The address that the client has connected to, printed as listener_print_address does; empty when
 * it is not known. A system call. */
void http_conn_print_local(const struct http_conn *conn, char out[ADDRESS_TEXT_SIZE]);
/* Has the client shut down its side? It may have left, or it may just wait for the answer: there is
 * no way to tell. */
bool http_conn_has_ended(struct http_conn *conn);
uint64_t http_conn_id(const struct http_conn *conn);
/* Bytes of the current answer's body that have been sent. */
uint64_t http_conn_sent(const struct http_conn *conn);

/* The Range field is not needed any more: from now on a long one is empty in the request's head.
 * A client may take its answer slowly, and its ranges need not be kept for so long. */
void http_conn_drop_range(struct http_conn *conn);

/* Read the next bytes of the body into `buffer`, which the caller keeps alive until on_body or
 * on_done. The first call sends "100 Continue" if the client waits for it. Without a body, on_body
 * comes with 0 bytes and is_end. */
void http_conn_read_body(struct http_conn *conn, void *buffer, size_t capacity);

/* Send a whole answer. What the socket does not take of `body` at once is copied. If the body of
 * the request was not read to its end, the connection is closed afterwards, but not abruptly (RFC
 * 9112 9.6): it is shut down for writing, and up to 64 KiB are read for up to 2 s. */
void http_conn_respond(struct http_conn *conn, const struct http_response *response,
                       struct slice body);
/* Send an answer in pieces: the head with this call, then the body with http_conn_send_…, then
 * http_conn_end. Ending it with fewer bytes than content_length aborts. */
void http_conn_begin(struct http_conn *conn, const struct http_response *response);
void http_conn_send_bytes(struct http_conn *conn, struct slice bytes); /* `bytes` are copied */
/* `fd` is borrowed until on_drained or on_done. Only one piece may be queued: wait for on_drained
 * before the next. At most 1 MiB of it is sent in one turn of the loop, and only while its pages
 * are in memory; the pool reads ahead. */
void http_conn_send_file(struct http_conn *conn, int fd, uint64_t offset, uint64_t length);
void http_conn_end(struct http_conn *conn);
/* The answer cannot be finished: reset the connection, so that the client does not take the answer
 * for complete. on_done follows with HTTP_END_ABORTED. */
void http_conn_abort(struct http_conn *conn);

/* The usual phrase of a status, such as "Not Found". */
const char *http_status_phrase(int status);

#endif
