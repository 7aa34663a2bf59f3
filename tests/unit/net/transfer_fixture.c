/* SPDX-License-Identifier: Apache-2.0 */
/* See transfer_fixture.h. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "transfer_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/pool.h"
#include "base/text.h"
#include "fakes/names.h"
#include "net/loop.h"
#include "net/resolve.h"

#define RECEIVED_MAX (16ul * 1024 * 1024)

struct test_server server;
struct test_client client;

static struct buf decoded;

/* ---- the request ---- */

/* What follows the head; false: the head is not whole. */
static bool find_body(struct slice *out)
{
    struct slice all = buf_bytes(&server.received);
    const char *end = all.length > 0 ? memmem(all.data, all.length, "\r\n\r\n", 4) : NULL;

    if (!end)
        return false;
    size_t length = (size_t)(end - all.data) + 4;
    *out = slice_skip(all, length);
    (void)snprintf(server.head, sizeof(server.head), "%.*s", (int)length, all.data);
    return true;
}

/* True when the last chunk is there. */
static bool decode_chunks(struct slice rest)
{
    buf_clear(&decoded);
    for (;;) {
        struct slice line;
        const char *end = rest.length > 0 ? memmem(rest.data, rest.length, "\r\n", 2) : NULL;

        if (!end)
            return false;
        line = slice_from(rest.data, (size_t)(end - rest.data));
        size_t size = 0;
        for (size_t i = 0; i < line.length; i++) {
            const char *digit = strchr("0123456789abcdef", line.data[i]);

            assert_non_null(digit);
            size = size * 16 + (size_t)(digit - "0123456789abcdef");
        }
        rest = slice_skip(rest, line.length + 2);
        if (rest.length < size + 2)
            return false;
        buf_append(&decoded, rest.data, size);
        rest = slice_skip(rest, size + 2);
        if (size == 0)
            return true;
    }
}

static bool has_body(void)
{
    struct slice rest;
    struct slice value;
    struct slice head;
    struct error err;
    uint64_t length = 0;

    if (!find_body(&rest))
        return false;
    head = slice_of(server.head);
    if (transfer_header(head, "Transfer-Encoding", &value))
        return decode_chunks(rest);
    if (transfer_header(head, "Content-Length", &value))
        assert_int_equal(text_parse_u64(value, &length, &err), 0);
    buf_clear(&decoded);
    buf_append_slice(&decoded, rest);
    return rest.length >= length;
}

const char *server_body(size_t *out_length)
{
    if (!has_body())
        return NULL;
    *out_length = buf_bytes(&decoded).length;
    return buf_text(&decoded);
}

static void close_connection(void)
{
    watch_free(&server.serving);
    fd_close(&server.client);
}

static void on_request_bytes(void)
{
    static char bytes[65536];
    ssize_t got = read(server.client, bytes, sizeof(bytes));
    struct slice body;

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) { /* a client that went away */
        close_connection();
        watch_set(server.listening, WATCH_READ);
        return;
    }
    buf_append(&server.received, bytes, (size_t)got);
    assert_false(server.received.is_over);
    if (!find_body(&body))
        return;
    if (server.closes_after > 0 && body.length >= server.closes_after) {
        close_connection();
        watch_set(server.listening, WATCH_READ);
    } else if (server.answers_early || has_body()) {
        watch_set(server.serving, WATCH_WRITE);
    }
}

/* ---- the answer ---- */

static void send_blob(void)
{
    static const char zeros[65536];
    size_t left = server.blob_length - server.blob_sent;

    if (server.drip_ms > 0) {
        left = 1;
        watch_set(server.serving, WATCH_NONE);
        timer_start(server.drip, server.drip_ms);
    }
    ssize_t sent = write(server.client, zeros, left < sizeof(zeros) ? left : sizeof(zeros));
    if (sent < 0)
        watch_set(server.serving, errno == EAGAIN ? WATCH_WRITE : WATCH_NONE);
    else
        server.blob_sent += (size_t)sent;
}

static void serve(unsigned ready, void *arg)
{
    size_t left = strlen(server.answer) - server.answer_sent;

    (void)arg;
    if (ready & WATCH_READ) {
        on_request_bytes();
    } else if (left > 0) {
        ssize_t sent = write(server.client, server.answer + server.answer_sent, left);

        server.answer_sent += sent > 0 ? (size_t)sent : 0;
    } else if (server.blob_sent < server.blob_length) {
        send_blob();
    } else if (server.stays_open) {
        watch_set(server.serving, WATCH_NONE);
    } else {
        close_connection();
    }
}

static void on_drip(void *arg)
{
    (void)arg;
    watch_set(server.serving, WATCH_WRITE);
}

static void on_connection(unsigned ready, void *arg)
{
    (void)ready;
    (void)arg;
    server.client = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(server.client >= 0);
    server.connections++;
    server.serving = watch_new(server.loop, server.client, serve, NULL);
    watch_set(server.serving, server.reads_nothing ? WATCH_NONE : WATCH_READ);
    watch_set(server.listening, WATCH_NONE);
}

/* ---- life ---- */

static void server_listen(int family, const void *address, socklen_t length)
{
    watch_free(&server.listening);
    fd_close(&server.listener);
    server.listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(server.listener >= 0);
    assert_int_equal(bind(server.listener, address, length), 0);
    assert_int_equal(listen(server.listener, 5), 0);
    server.listening = watch_new(server.loop, server.listener, on_connection, NULL);
    watch_set(server.listening, WATCH_READ);
}

void server_listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    server_listen(AF_UNIX, &address, sizeof(address));
}

int fixture_setup(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    (void)state;
    memset(&server, 0, sizeof(server));
    memset(&client, 0, sizeof(client));
    buf_init(&server.received, RECEIVED_MAX);
    buf_init(&decoded, RECEIVED_MAX);
    server.client = -1;
    server.listener = -1;
    server.loop = loop_new();
    fake_names_clear();
    server.resolver = resolver_new(server.loop);
    server.pool = pool_new(2);
    loop_add_pool(server.loop, server.pool);
    server.set = transfer_set_new(server.loop, server.resolver, server.pool);
    server.drip = timer_new(server.loop, on_drip, NULL);
    server_listen(AF_INET, &address, sizeof(address));
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &length), 0);
    server.port = ntohs(address.sin_port);
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    transfer_set_free(&server.set);
    resolver_free(&server.resolver);
    timer_free(&server.drip);
    watch_free(&server.listening);
    close_connection();
    fd_close(&server.listener);
    pool_free(&server.pool);
    loop_free(&server.loop);
    buf_cleanup(&server.received);
    buf_cleanup(&decoded);
    return 0;
}

/* ---- the client ---- */

static bool on_head(struct transfer *transfer, const struct transfer_response *response, void *arg)
{
    struct slice etag;

    (void)arg;
    if (client.limit_ms > 0)
        transfer_limit(transfer, client.limit_ms);
    client.status = response->status;
    client.content_length = response->content_length;
    if (transfer_header(response->headers, "ETag", &etag))
        (void)snprintf(client.etag, sizeof(client.etag), "%.*s", SLICE_PRINT(etag));
    return !client.wants_no_body;
}

static void resume(void *arg)
{
    (void)arg;
    if (client.transfer)
        transfer_resume(client.transfer);
}

static enum transfer_want on_data(struct transfer *transfer, struct slice bytes, void *arg)
{
    (void)transfer;
    (void)arg;
    if (client.pauses < client.pauses_wanted && client.bytes > client.pauses * 100000ul) {
        client.pauses++;
        loop_defer(server.loop, resume, &client);
        return TRANSFER_PAUSE;
    }
    client.bytes += bytes.length;
    return TRANSFER_CONTINUE;
}

static void on_done(struct transfer *transfer, const struct error *err, void *arg)
{
    (void)transfer;
    (void)arg;
    assert_false(client.is_done);
    client.is_done = true;
    client.transfer = NULL;
    if (err)
        client.err = *err;
}

static const struct transfer_handler handler = {
    .on_head = on_head,
    .on_data = on_data,
    .on_done = on_done,
};

static bool may_connect(const struct sockaddr *address, bool is_proxy, void *arg)
{
    (void)arg;
    client.asked_proxies += is_proxy;
    assert_true(client.takes_ipv6 || address->sa_family == AF_INET);
    client.asked_addresses++;
    return !client.refuses || is_proxy;
}

int client_try(enum transfer_method method, const char *answer, size_t blob_length,
               struct error *err)
{
    static const char *const headers[] = {"X-Test: 1", NULL};
    char url[400];
    char proxy[400];

    server.answer = answer;
    server.blob_length = blob_length;
    (void)snprintf(url, sizeof(url), "http://%s:%u/v2/a?b", client.host ? client.host : "127.0.0.1",
                   server.port);
    (void)snprintf(proxy, sizeof(proxy), "%s://%s:%u",
                   client.proxy_scheme ? client.proxy_scheme : "http",
                   client.proxy ? client.proxy : "", server.port);
    struct transfer_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .proxy = client.proxy ? proxy : NULL,
        .unix_socket = client.unix_socket,
        .body = client.body,
        .connect_timeout_ms = 5000,
        .head_timeout_ms = client.patience_ms ? client.patience_ms : 10000,
        .stall_timeout_ms = client.patience_ms ? client.patience_ms : 10000,
        .total_timeout_ms = client.total_ms,
        .may_connect = may_connect,
    };
    int rc = transfer_start(server.set, &request, &handler, NULL, &client.transfer, err);
    assert_false(client.is_done);
    return rc;
}

void client_start(enum transfer_method method, const char *answer, size_t blob_length)
{
    struct error err;

    assert_int_equal(client_try(method, answer, blob_length, &err), 0);
}

void client_run(void)
{
    uint64_t end = clock_mono().ms + 20000;

    while (!client.is_done && clock_mono().ms < end)
        loop_turn(server.loop, 100);
    assert_true(client.is_done);
}

void client_check(void)
{
    client_run();
    if (client.err.kind != ERR_NONE)
        fail_msg("the transfer failed: %s", client.err.text);
    assert_int_equal(client.status, 200);
}

void client_next(void)
{
    memset(&client, 0, sizeof(client));
    close_connection();
    server.answer_sent = 0;
    server.blob_sent = 0;
    buf_clear(&server.received);
    memset(server.head, 0, sizeof(server.head));
    watch_set(server.listening, WATCH_READ);
}
