/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the HTTP server share. No other file includes it.
 *
 *   http_server.c       all connections, their deadlines, spare memory, draining
 *   http_conn.c         the states of one connection, and its steps
 *   http_conn_head.c    reading heads, refusing
 *   http_conn_body.c    reading the body of a request
 *   http_conn_answer.c  writing the answer
 */
#ifndef NET_HTTP_CONN_PARTS_H
#define NET_HTTP_CONN_PARTS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "net/http_conn.h"
#include "net/loop.h"
#include "net/stream.h"

#define RECV_HEAD       (16UL * 1024)   /* bytes received in one call while a head is expected */
#define PARSE_ALWAYS    (4UL * 1024)    /* a head up to this long is parsed whenever bytes arrive */
#define RECV_BODY       (256UL * 1024)  /* bytes received in one call of a body */
#define FILE_WINDOW     (1024 * 1024UL) /* bytes of a file sent in one turn */
#define READ_AHEAD      (1024 * 1024UL)
#define INPUT_MAX       (8UL * 1024 * 1024) /* over twice the longest head that may be allowed */
#define OUTPUT_MAX      (64UL * 1024 * 1024)
#define LINGER_BYTES    (64UL * 1024)
#define LINGER_MS       2000
#define DRAIN_IDLE_MS   1000
#define EXCHANGE_BYTES  2048 /* bytes of head in an exchange of ordinary size */
#define RANGE_APART     512  /* a Range longer than this is kept apart from the head */
#define SPARE_EXCHANGES 16
#define STEPS_A_TURN    32 /* what a connection may do in a row before others have their turn */

enum conn_state {
    CONN_HANDSHAKE, /* the stream and the client agree on how to speak */
    CONN_IDLE,      /* no byte of a request has arrived */
    CONN_HEAD,      /* a part of a head has */
    CONN_REQUEST,   /* on_request was called, on_done was not */
    CONN_REFUSING,  /* our own error answer is being sent */
    CONN_LINGER,    /* all is sent; what still arrives is read, so that no reset cuts it */
    CONN_CLOSED,    /* gone; the struct is freed after this turn */
    CONN_STATES,
};

/* All deadlines of a kind are equally long, so appending keeps its list in order of time. */
enum deadline {
    DEADLINE_HANDSHAKE,
    DEADLINE_KEEP_ALIVE,
    DEADLINE_DRAIN,
    DEADLINE_HEAD,
    DEADLINE_BODY,
    DEADLINE_SEND,
    DEADLINE_LINGER,
    DEADLINES, /* none */
};

struct body_in {
    uint64_t left; /* HTTP_BODY_LENGTH */
    struct http_chunked chunked;
    char *buffer; /* the handler's, while is_reading */
    size_t capacity;
    size_t length;
    struct monotime asked_at; /* is_reading since */
    uint64_t waited_ms;       /* the sum of earlier such times */
    uint64_t received;        /* bytes, with framing */
    bool is_reading;
    bool is_over;  /* all of it was read */
    bool is_begun; /* read_body was called */
};

enum http_answer_state {
    HTTP_ANSWER_NONE,
    HTTP_ANSWER_OPEN,
    HTTP_ANSWER_ENDED, /* everything is queued */
};

struct http_answer {
    enum http_answer_state state;
    uint64_t expected; /* bytes of body; HTTP_NO_LENGTH: any number */
    uint64_t queued;   /* body bytes the handler gave */
    struct buf out;    /* what the stream did not take yet */
    int file;          /* the handler's */
    uint64_t file_offset;
    uint64_t file_left;
    uint64_t probed_until; /* of the file: in memory up to here */
    struct read_ahead *ahead;
    bool is_chunked;
    bool has_no_body; /* HEAD, 204, 304 */
    bool is_close;
    bool wants_drained;
    bool is_last_due; /* send the last chunk after the rest */
};

/* One request and its answer. The server keeps some of ordinary size for the next requests. */
struct http_exchange {
    struct http_head head; /* slices into `bytes` */
    void *user;
    struct body_in in;
    struct http_answer answer;
    struct http_refusal refusal; /* status 0: none; else sent after on_done if there is no answer */
    char *range;                 /* a long value of Range, until the handler drops it; or NULL */
    bool is_over;                /* `end` says how; on_done may still be due */
    enum http_end end;
    struct list spare;
    size_t bytes_capacity;
    char bytes[];
};

struct http_conn {
    struct http_server *server;
    struct list link;
    struct list deadline_link;
    struct monotime deadline;
    enum deadline deadline_kind;
    enum conn_state state;
    struct stream stream;
    struct watch *watch;
    unsigned watched;
    uint32_t parse_at; /* CONN_HEAD: parse when this much has arrived, or a line has ended */
    struct buf input;  /* received and not used; has no memory while it is empty */
    struct http_exchange *exchange; /* REQUEST, REFUSING */
    uint64_t id;
    char *peer;
    size_t linger_left;
    uint64_t unsent;          /* bytes in the kernel when the deadline was last set */
    struct monotime taken_at; /* LINGER: when the client last took some of them */
    bool is_stepping;
    bool is_step_deferred;
    bool is_readable;     /* the stream may have something to receive */
    bool is_blocked;      /* the stream takes no more */
    bool is_end_due;      /* LINGER: stream_end must be called again */
    bool is_unwelcome;    /* there are too many clients: refuse it after the handshake */
    bool is_exhausted;    /* it had its share of this turn */
    bool is_read_done;    /* what the stream has is for later: do not watch for reading */
    bool has_moved;       /* bytes were received or sent in this step */
    bool is_head_refused; /* the refused request is a HEAD: send no body */
};

struct http_server {
    struct loop *loop;
    struct pool *pool;
    const struct http_settings *settings;
    const struct http_handler *handler;
    void *arg;
    struct list conns;
    struct list deadlines[DEADLINES];
    struct timer *sweep;
    struct monotime sweep_at;
    struct list spares;
    unsigned spare_count;
    unsigned conn_count;
    uint64_t last_id;
    uint64_t date_second;
    char date[32];
    struct buf head; /* of the answer that is being printed */
    bool is_draining;
    bool has_no_probe; /* the file system cannot say what is in memory */
    char scratch[64 * 1024];
};

/* http_server.c */
struct http_exchange *server_take_exchange(struct http_server *server);
/* The same exchange with room for that many bytes of head; it may move. */
struct http_exchange *server_enlarge_exchange(struct http_exchange *exchange, size_t bytes);
void server_give_exchange(struct http_server *server, struct http_exchange **exchange);
void server_set_deadline(struct http_conn *conn, enum deadline kind);
const char *server_date(struct http_server *server);

/* http_conn.c */
void conn_open(struct http_server *server, const struct stream *stream, const char *peer,
               bool is_too_many);
void conn_set_state(struct http_conn *conn, enum conn_state next);
/* Make progress: now, or after this turn if a handler is being called. */
void conn_step(struct http_conn *conn);
void conn_schedule(struct http_conn *conn);
void conn_on_deadline(struct http_conn *conn, enum deadline kind);
/* At the end of the server: calls on_done if it is due, and frees the connection. */
void conn_kill(struct http_conn *conn);
/* The request has failed; on_done follows in the next step. Further calls do nothing. */
void conn_fail(struct http_conn *conn, enum http_end end);

/* http_conn_head.c; they return true if something changed */
bool conn_recv_head(struct http_conn *conn);
bool conn_take_pipelined(struct http_conn *conn);
void conn_refuse(struct http_conn *conn, const struct http_refusal *refusal);
/* Refuse a request of which these bytes of a head have arrived. */
void conn_refuse_head(struct http_conn *conn, struct slice bytes,
                      const struct http_refusal *refusal);

/* http_conn_body.c */
void body_begin(struct http_exchange *exchange);
/* True when on_body was called. */
bool body_step(struct http_conn *conn);

/* http_conn_answer.c */
void answer_begin(struct http_answer *answer);
void answer_cleanup(struct http_answer *answer);
/* Send what is queued. Sets is_blocked or is_exhausted, or fails the request. */
void answer_flush(struct http_conn *conn);
bool answer_is_empty(const struct http_answer *answer);
/* Send these bytes as they are, after what is queued. */
void answer_raw(struct http_conn *conn, struct slice bytes);
void answer_refusal(struct http_conn *conn, const struct http_refusal *refusal);

#endif
