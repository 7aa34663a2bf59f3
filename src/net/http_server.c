/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All connections of a server: their list, their deadlines, draining.
 *
 * There is one list of deadlines for each kind. All deadlines of a kind are equally long, or set
 * before it became shorter and then cut, so appending keeps the list in order of time. One timer
 * serves all lists; it is started for the earliest first member, and started again if it runs out
 * early because that member got a later deadline. Setting a deadline changes a few pointers.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "http_conn_parts.h"

/* This many clients beyond connections_max get 503; further ones are closed at once. */
#define REFUSED_MAX 64

static uint64_t deadline_ms(const struct http_settings *settings, enum deadline kind)
{
    switch (kind) {
    case DEADLINE_HANDSHAKE:
        return settings->handshake_timeout_ms;
    case DEADLINE_KEEP_ALIVE:
        return settings->keep_alive_timeout_ms;
    case DEADLINE_DRAIN:
        return DRAIN_IDLE_MS;
    case DEADLINE_HEAD:
        return settings->head_timeout_ms;
    case DEADLINE_BODY:
        return settings->body_idle_timeout_ms;
    case DEADLINE_SEND:
        return settings->send_timeout_ms;
    case DEADLINE_LINGER:
        return LINGER_MS;
    case DEADLINES:
        break;
    }
    UNREACHABLE();
}

static void start_sweep(struct http_server *server, struct monotime at)
{
    server->sweep_at = at;
    timer_start(server->sweep, monotime_since(at, clock_mono()));
}

void server_set_deadline(struct http_conn *conn, enum deadline kind)
{
    struct http_server *server = conn->server;

    list_remove(&conn->deadline_link);
    conn->deadline_kind = kind;
    if (kind == DEADLINES)
        return;
    conn->deadline = monotime_add(clock_mono(), deadline_ms(server->settings, kind));
    list_append(&server->deadlines[kind], &conn->deadline_link);
    if (!timer_is_running(server->sweep) || conn->deadline.ms < server->sweep_at.ms)
        start_sweep(server, conn->deadline);
}

static struct http_conn *first_of(const struct http_server *server, enum deadline kind)
{
    const struct list *head = &server->deadlines[kind];

    if (list_is_empty(head))
        return NULL;
    return LIST_ITEM(head->next, struct http_conn, deadline_link);
}

static void sweep_kind(struct http_server *server, enum deadline kind, struct monotime now)
{
    struct http_conn *conn;

    while ((conn = first_of(server, kind)) && conn->deadline.ms <= now.ms) {
        server_set_deadline(conn, DEADLINES);
        conn_on_deadline(conn, kind);
    }
}

static void on_sweep(void *arg)
{
    struct http_server *server = arg;
    struct monotime now = clock_mono();
    struct monotime next = {UINT64_MAX};

    for (enum deadline kind = 0; kind < DEADLINES; kind++)
        sweep_kind(server, kind, now);
    for (enum deadline kind = 0; kind < DEADLINES; kind++) {
        const struct http_conn *conn = first_of(server, kind);

        if (conn && conn->deadline.ms < next.ms)
            next = conn->deadline;
    }
    if (next.ms != UINT64_MAX)
        start_sweep(server, next);
}

struct http_server *http_server_new(struct loop *loop, struct pool *pool,
                                    const struct http_settings *settings,
                                    const struct http_handler *handler, void *arg)
{
    struct http_server *server = NEW(struct http_server);

    server->loop = loop;
    server->pool = pool;
    server->settings = settings;
    server->handler = handler;
    server->arg = arg;
    list_init(&server->conns);
    list_init(&server->spares);
    for (enum deadline kind = 0; kind < DEADLINES; kind++)
        list_init(&server->deadlines[kind]);
    server->sweep = timer_new(loop, on_sweep, server);
    buf_init(&server->head, 256 * 1024UL);
    return server;
}

static void free_spares(struct http_server *server)
{
    while (!list_is_empty(&server->spares)) {
        struct http_exchange *exchange =
            LIST_ITEM(server->spares.next, struct http_exchange, spare);

        list_remove(&exchange->spare);
        mem_free(exchange);
    }
}

void http_server_free(struct http_server **server_address)
{
    struct http_server *server = *server_address;

    if (!server)
        return;
    *server_address = NULL;
    while (!list_is_empty(&server->conns))
        conn_kill(LIST_ITEM(server->conns.next, struct http_conn, link));
    timer_free(&server->sweep);
    free_spares(server);
    buf_cleanup(&server->head);
    mem_free(server);
}

void http_server_adopt(struct http_server *server, const struct stream_kind *kind, int *fd,
                       const char *peer, bool is_too_many)
{
    struct stream stream;
    struct error err;

    if (server->conn_count >= server->settings->connections_max + REFUSED_MAX) {
        fd_close(fd);
        return;
    }
    if (stream_open(&stream, kind, fd, &err) < 0) {
        log_say(LOG_WARN, "connection of %s closed: %s", peer, err.text);
        return;
    }
    conn_open(server, &stream, peer, is_too_many);
}

void http_server_drain(struct http_server *server)
{
    server->is_draining = true;
    LIST_EACH (link, &server->conns) {
        struct http_conn *conn = LIST_ITEM(link, struct http_conn, link);

        if (conn->state == CONN_IDLE)
            server_set_deadline(conn, DEADLINE_DRAIN);
    }
}

void http_server_set_settings(struct http_server *server, const struct http_settings *settings)
{
    struct monotime now = clock_mono();

    server->settings = settings;
    for (enum deadline kind = 0; kind < DEADLINES; kind++) {
        struct monotime latest = monotime_add(now, deadline_ms(settings, kind));

        LIST_EACH (link, &server->deadlines[kind]) {
            struct http_conn *conn = LIST_ITEM(link, struct http_conn, deadline_link);

            if (conn->deadline.ms > latest.ms)
                conn->deadline = latest;
        }
        const struct http_conn *first = first_of(server, kind);
        if (first && first->deadline.ms < server->sweep_at.ms)
            start_sweep(server, first->deadline);
    }
}

unsigned http_server_connections(const struct http_server *server)
{
    return server->conn_count;
}

static struct http_exchange *new_exchange(size_t bytes)
{
    struct http_exchange *exchange = mem_alloc(sizeof(*exchange) + bytes);

    exchange->bytes_capacity = bytes;
    list_init(&exchange->spare);
    return exchange;
}

/* Resets everything except the head and the bytes, which the parser fills. */
static void reset_exchange(struct http_exchange *exchange)
{
    exchange->user = NULL;
    exchange->in = (struct body_in){0};
    answer_begin(&exchange->answer);
    exchange->refusal = (struct http_refusal){0};
    exchange->range = NULL;
    exchange->is_over = false;
    exchange->end = HTTP_END_SENT;
}

struct http_exchange *server_take_exchange(struct http_server *server)
{
    struct http_exchange *exchange;

    if (list_is_empty(&server->spares)) {
        exchange = new_exchange(EXCHANGE_BYTES);
    } else {
        exchange = LIST_ITEM(server->spares.next, struct http_exchange, spare);
        list_remove(&exchange->spare);
        server->spare_count--;
    }
    reset_exchange(exchange);
    return exchange;
}

struct http_exchange *server_enlarge_exchange(struct http_exchange *exchange, size_t bytes)
{
    if (bytes <= exchange->bytes_capacity)
        return exchange;
    struct http_exchange *larger = new_exchange(bytes);
    larger->head = exchange->head;
    reset_exchange(larger);
    mem_free(exchange);
    return larger;
}

void server_give_exchange(struct http_server *server, struct http_exchange **exchange_address)
{
    struct http_exchange *exchange = TAKE(*exchange_address);

    if (!exchange)
        return;
    answer_cleanup(&exchange->answer);
    mem_free(TAKE(exchange->range));
    if (exchange->bytes_capacity != EXCHANGE_BYTES || server->spare_count >= SPARE_EXCHANGES) {
        mem_free(exchange);
        return;
    }
    list_append(&server->spares, &exchange->spare);
    server->spare_count++;
}

const char *server_date(struct http_server *server)
{
    struct walltime now = clock_wall();

    if (now.ms / 1000 != server->date_second || !server->date[0]) {
        server->date_second = now.ms / 1000;
        walltime_print_http(now, server->date);
    }
    return server->date;
}
