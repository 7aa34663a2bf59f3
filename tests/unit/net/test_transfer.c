/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl on the real loop, against a small server of sockets on the same loop. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "fakes/names.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/transfer.h"

#define BLOB_SIZE (2ul * 1024 * 1024)

/* Reads a head, sends `answer`, then `blob_length` bytes, then closes (or waits for ever). */
static struct {
    struct loop *loop;
    struct resolver *resolver;
    struct transfer_set *set;
    int listener;
    int client;
    struct watch *listening;
    struct watch *serving;
    const char *answer;
    size_t answer_sent;
    size_t blob_length;
    size_t blob_sent;
    bool stays_open;
    uint64_t drip_ms; /* a byte of the blob, then a pause */
    struct timer *drip;
    uint64_t total_ms; /* that the client allows */
    char head[4096];
    size_t head_length;
    unsigned port;
} server;

static struct {
    struct transfer *transfer;
    int status;
    uint64_t content_length;
    char etag[64];
    uint64_t bytes;
    unsigned pauses;
    unsigned pauses_wanted;
    bool wants_no_body;
    uint64_t limit_ms; /* set at the head */
    bool is_done;
    struct error err;
    unsigned asked_addresses;
    bool refuses;
    const char *host;  /* NULL: 127.0.0.1 */
    const char *proxy; /* NULL: none */
    bool takes_ipv6;
} client;

static void serve(unsigned ready, void *arg)
{
    static const char zeros[65536];

    (void)arg;
    if (ready & WATCH_READ) {
        ssize_t got = read(server.client, server.head + server.head_length,
                           sizeof(server.head) - 1 - server.head_length);
        if (got <= 0) {
            watch_set(server.serving, WATCH_NONE);
            return;
        }
        server.head_length += (size_t)got;
        if (strstr(server.head, "\r\n\r\n"))
            watch_set(server.serving, WATCH_WRITE);
        return;
    }
    size_t left = strlen(server.answer) - server.answer_sent;
    ssize_t sent = 0;
    if (left > 0) {
        sent = write(server.client, server.answer + server.answer_sent, left);
        server.answer_sent += sent > 0 ? (size_t)sent : 0;
        return;
    }
    left = server.blob_length - server.blob_sent;
    if (left == 0) {
        watch_set(server.serving, WATCH_NONE);
        if (!server.stays_open) {
            watch_free(&server.serving);
            fd_close(&server.client);
        }
        return;
    }
    if (server.drip_ms > 0) {
        left = 1;
        watch_set(server.serving, WATCH_NONE);
        timer_start(server.drip, server.drip_ms);
    }
    sent = write(server.client, zeros, left < sizeof(zeros) ? left : sizeof(zeros));
    if (sent < 0) {
        watch_set(server.serving, errno == EAGAIN ? WATCH_WRITE : WATCH_NONE);
    } else {
        server.blob_sent += (size_t)sent;
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
    server.serving = watch_new(server.loop, server.client, serve, NULL);
    watch_set(server.serving, WATCH_READ);
    watch_set(server.listening, WATCH_NONE);
}

static int setup(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    (void)state;
    memset(&server, 0, sizeof(server));
    memset(&client, 0, sizeof(client));
    server.client = -1;
    server.loop = loop_new();
    fake_names_clear();
    server.resolver = resolver_new(server.loop);
    server.set = transfer_set_new(server.loop, server.resolver);
    server.drip = timer_new(server.loop, on_drip, NULL);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(server.listener >= 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.listener, 5), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &length), 0);
    server.port = ntohs(address.sin_port);
    server.listening = watch_new(server.loop, server.listener, on_connection, NULL);
    watch_set(server.listening, WATCH_READ);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    transfer_set_free(&server.set);
    resolver_free(&server.resolver);
    timer_free(&server.drip);
    watch_free(&server.listening);
    watch_free(&server.serving);
    fd_close(&server.client);
    fd_close(&server.listener);
    loop_free(&server.loop);
    return 0;
}

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

static bool may_connect(const struct sockaddr *address, void *arg)
{
    (void)arg;
    assert_true(client.takes_ipv6 || address->sa_family == AF_INET);
    client.asked_addresses++;
    return !client.refuses;
}

static void start(enum transfer_method method, const char *answer, size_t blob_length)
{
    static const char *const headers[] = {"X-Test: 1", NULL};
    char url[100];
    struct error err;

    server.answer = answer;
    server.blob_length = blob_length;
    char proxy[100];
    (void)snprintf(url, sizeof(url), "http://%s:%u/v2/a?b", client.host ? client.host : "127.0.0.1",
                   server.port);
    (void)snprintf(proxy, sizeof(proxy), "http://%s:%u", client.proxy ? client.proxy : "",
                   server.port);
    struct transfer_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .proxy = client.proxy ? proxy : NULL,
        .connect_timeout_ms = 5000,
        .head_timeout_ms = 300,
        .stall_timeout_ms = 300,
        .total_timeout_ms = server.total_ms,
        .may_connect = may_connect,
    };
    assert_int_equal(transfer_start(server.set, &request, &handler, NULL, &client.transfer, &err),
                     0);
    assert_false(client.is_done);
}

static void run(void)
{
    uint64_t end = clock_mono().ms + 20000;
    while (!client.is_done && clock_mono().ms < end)
        loop_turn(server.loop, 100);
    assert_true(client.is_done);
}

static void transfer_gives_head_and_body(void **state)
{
    (void)state;
    start(TRANSFER_GET,
          "HTTP/1.1 103 Early Hints\r\nETag: no\r\n\r\n"
          "HTTP/1.1 200 OK\r\netag:  \"x\" \r\nContent-Length: 2097152\r\n\r\n",
          BLOB_SIZE);
    run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.status, 200);
    assert_int_equal(client.content_length, BLOB_SIZE);
    assert_int_equal(client.bytes, BLOB_SIZE);
    assert_string_equal(client.etag, "\"x\"");
    assert_int_equal(client.asked_addresses, 1);
    assert_int_equal(strncmp(server.head, "GET /v2/a?b HTTP/1.1\r\n", 22), 0);
    assert_non_null(strstr(server.head, "\r\nX-Test: 1\r\n"));
    assert_null(strstr(server.head, "Accept-Encoding"));
}

static void transfer_follows_no_redirect(void **state)
{
    (void)state;
    start(TRANSFER_GET,
          "HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 0);
    run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.status, 307);
}

static void transfer_of_head_has_a_length_and_no_body(void **state)
{
    (void)state;
    start(TRANSFER_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", 0);
    run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.content_length, 77);
    assert_int_equal(strncmp(server.head, "HEAD ", 5), 0);
}

static void transfer_goes_on_after_pauses(void **state)
{
    (void)state;
    client.pauses_wanted = 10;
    start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
    run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.pauses, 10);
    assert_int_equal(client.bytes, BLOB_SIZE);
}

static void transfer_that_is_cut_fails(void **state)
{
    (void)state;
    start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", 1000);
    run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(client.bytes, 1000);
}

static void transfer_with_two_framings_fails(void **state)
{
    (void)state;
    start(TRANSFER_GET,
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0);
    run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(client.status, 0);
}

static void transfer_with_another_coding_fails(void **state)
{
    start(TRANSFER_GET, *state, 0);
    run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(client.status, 0);
}

static void transfer_that_is_chunked_works(void **state)
{
    start(TRANSFER_GET, *state, 0);
    run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.content_length, UINT64_MAX);
    assert_int_equal(client.bytes, 2);
}

static void transfer_without_answer_times_out(void **state)
{
    (void)state;
    server.stays_open = true;
    start(TRANSFER_GET, "HTTP/1.1 200 OK\r\n", 0);
    run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
}

static void transfer_that_stalls_times_out(void **state)
{
    (void)state;
    server.stays_open = true;
    start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", 1000);
    run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_int_equal(client.bytes, 1000);
}

static void transfer_that_drips_ends_in_time(void **state)
{
    (void)state;
    server.stays_open = true;
    server.drip_ms = 20;
    server.total_ms = 500;
    start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", 1000);
    uint64_t begin = clock_mono().ms;
    run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_in_range(client.bytes, 2, 999);
    assert_in_range(clock_mono().ms - begin, 450, 5000);
}

static void transfer_can_be_limited_at_its_head(void **state)
{
    (void)state;
    server.stays_open = true;
    client.limit_ms = 50;
    start(TRANSFER_GET, "HTTP/1.1 404 No\r\nContent-Length: 100\r\n\r\n", 1);
    uint64_t begin = clock_mono().ms;
    run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_int_equal(client.bytes, 1);
    assert_in_range(clock_mono().ms - begin, 50, 290);
}

static void transfer_asks_before_it_connects(void **state)
{
    (void)state;
    client.refuses = true;
    start(TRANSFER_GET, "", 0);
    run();
    assert_int_equal(client.err.kind, ERR_DENIED);
    assert_int_equal(server.head_length, 0);
}

static void transfer_that_is_not_wanted_ends(void **state)
{
    (void)state;
    client.wants_no_body = true;
    start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
    run();
    assert_int_equal(client.err.kind, ERR_CANCELLED);
    assert_int_equal(client.bytes, 0);
}

static void transfer_says_that_nobody_listens(void **state)
{
    (void)state;
    watch_free(&server.listening);
    fd_close(&server.listener);
    start(TRANSFER_GET, "", 0);
    run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_non_null(strstr(client.err.text, "refused"));
}

static void transfer_is_silent_after_cancel(void **state)
{
    (void)state;
    start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
    for (unsigned turn = 0; turn < 1000 && client.bytes == 0; turn++)
        loop_turn(server.loop, 100);
    transfer_cancel(&client.transfer);
    assert_null(client.transfer);
    uint64_t bytes = client.bytes;
    for (unsigned turn = 0; turn < 20; turn++)
        loop_turn(server.loop, 1);
    assert_int_equal(client.bytes, bytes);
    assert_false(client.is_done);
}

static void check_answer(void)
{
    run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.status, 200);
}

/* The same again, over a new connection. */
static void next_transfer(void)
{
    memset(&client, 0, sizeof(client));
    watch_free(&server.serving);
    fd_close(&server.client);
    server.answer_sent = 0;
    server.head_length = 0;
    memset(server.head, 0, sizeof(server.head));
    watch_set(server.listening, WATCH_READ);
}

static const char empty_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static void name_is_looked_up_once_and_never_by_libcurl(void **state)
{
    (void)state;
    fake_name_set("Registry.test", "127.0.0.1", 0);
    client.host = "registry.TEST";
    start(TRANSFER_GET, empty_answer, 0);
    check_answer();
    assert_int_equal(client.asked_addresses, 1);
    assert_non_null(strstr(server.head, "\r\nHost: registry.TEST:"));
    next_transfer();
    client.host = "registry.test";
    start(TRANSFER_GET, empty_answer, 0);
    check_answer();
    assert_int_equal(fake_name_asked(NULL), 1);
}

static void name_with_a_dot_at_its_end_is_the_same_to_libcurl(void **state)
{
    (void)state;
    fake_name_set("registry.test.", "127.0.0.1", 0);
    client.host = "registry.test.";
    start(TRANSFER_GET, empty_answer, 0);
    check_answer();
    assert_int_equal(fake_name_asked(NULL), 1);
}

static void localhost_and_odd_literals_are_not_looked_up(void **state)
{
    static const char *const hosts[] = {"localhost", "127.1", "0x7f000001", "2130706433"};

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        next_transfer();
        client.host = hosts[i];
        client.takes_ipv6 = true;
        start(TRANSFER_GET, empty_answer, 0);
        check_answer();
    }
    assert_int_equal(fake_name_asked(NULL), 0);
}

static void name_of_the_proxy_is_looked_up(void **state)
{
    (void)state;
    fake_name_set("proxy.test", "127.0.0.1", 0);
    client.host = "registry.test";
    client.proxy = "proxy.test";
    start(TRANSFER_GET, empty_answer, 0);
    check_answer();
    assert_int_equal(strncmp(server.head, "GET http://registry.test:", 25), 0);
    assert_int_equal(fake_name_asked("proxy.test"), 1);
    assert_int_equal(fake_name_asked(NULL), 1);
}

static void next_address_of_a_name_is_tried(void **state)
{
    (void)state;
    fake_name_set("registry.test", "127.0.0.2 127.0.0.1", 0);
    client.host = "registry.test";
    start(TRANSFER_GET, empty_answer, 0);
    check_answer();
    assert_int_equal(client.asked_addresses, 2);
}

static void addresses_of_a_name_are_judged(void **state)
{
    (void)state;
    fake_name_set("registry.test", "127.0.0.1", 0);
    client.host = "registry.test";
    client.refuses = true;
    start(TRANSFER_GET, "", 0);
    run();
    assert_int_equal(client.err.kind, ERR_DENIED);
    assert_int_equal(server.head_length, 0);
}

static void unknown_name_fails(void **state)
{
    (void)state;
    client.host = "nobody.test";
    start(TRANSFER_GET, "", 0);
    run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_non_null(strstr(client.err.text, "nobody.test"));
}

static void slow_name_ends_in_time_and_nobody_waits_for_it(void **state)
{
    (void)state;
    fake_name_set("slow.test", "127.0.0.1", 0);
    fake_names_hold(true);
    client.host = "slow.test";
    start(TRANSFER_GET, "", 0);
    uint64_t begin = clock_mono().ms;
    run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_non_null(strstr(client.err.text, "slow.test"));
    assert_in_range(clock_mono().ms - begin, 300, 5000);
    next_transfer();
    client.host = "slow.test";
    start(TRANSFER_GET, "", 0);
    loop_turn(server.loop, 0);
    transfer_cancel(&client.transfer);
    next_transfer();
    start(TRANSFER_GET, empty_answer, 0);
    check_answer();
    transfer_set_free(&server.set);
    resolver_free(&server.resolver);
    fake_names_hold(false);
}

static void without_a_resolver_there_are_only_addresses(void **state)
{
    struct error err;
    struct transfer_set *set = transfer_set_new(server.loop, NULL);
    struct transfer_request request = {.url = "http://registry.test/", .head_timeout_ms = 1000};
    struct transfer *transfer = NULL;

    (void)state;
    assert_int_equal(transfer_start(set, &request, &handler, NULL, &transfer, &err), -ERR_INVALID);
    transfer_set_free(&set);
}

static void url_split_knows_what_is_an_address(void **state)
{
    struct url_parts parts;

    (void)state;
    assert_true(url_split(SLICE_LITERAL("https://a.b:8443/x?y=1"), &parts));
    assert_true(parts.is_https && parts.port == 8443);
    assert_true(slice_is(parts.host, "a.b") && slice_is(parts.authority, "a.b:8443"));
    assert_true(slice_is(parts.path, "/x?y=1"));
    assert_true(url_split(SLICE_LITERAL("http://[::1]"), &parts));
    assert_true(parts.port == 80 && slice_is(parts.host, "::1") && slice_is(parts.path, "/"));
    static const char *const bad[] = {"",
                                      "ftp://a/",
                                      "https://",
                                      "https:///x",
                                      "https://u@a/",
                                      "https://a b/",
                                      "https://a/#f",
                                      "https://a:0/",
                                      "https://a:/",
                                      "https://a:65536/",
                                      "https://[::1",
                                      "https://a\\b/",
                                      "https://a?q",
                                      "//a/",
                                      "https://[]/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (url_split(slice_of(bad[i]), &parts))
            fail_msg("%s is not an address", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CODING(name, header)                                                                       \
    cmocka_unit_test_prestate_setup_teardown(                                                      \
        name, setup, teardown,                                                                     \
        ((char[]){"HTTP/1.1 200 OK\r\n" header "\r\n2\r\n{}\r\n0\r\n\r\n"}))
        TEST(transfer_gives_head_and_body),
        TEST(transfer_follows_no_redirect),
        TEST(transfer_of_head_has_a_length_and_no_body),
        TEST(transfer_goes_on_after_pauses),
        TEST(transfer_that_is_cut_fails),
        TEST(transfer_with_two_framings_fails),
        CODING(transfer_that_is_chunked_works, "Transfer-Encoding: Chunked\r\n"),
        CODING(transfer_with_another_coding_fails, "Transfer-Encoding: xchunked\r\n"),
        CODING(transfer_with_another_coding_fails, "Transfer-Encoding: chunked, chunked\r\n"),
        CODING(transfer_with_another_coding_fails, "Transfer-Encoding: br, chunked\r\n"),
        CODING(transfer_with_another_coding_fails, "Transfer-Encoding: \r\n"),
        CODING(transfer_with_another_coding_fails,
               "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        TEST(transfer_without_answer_times_out),
        TEST(transfer_that_stalls_times_out),
        TEST(transfer_that_drips_ends_in_time),
        TEST(transfer_can_be_limited_at_its_head),
        TEST(transfer_asks_before_it_connects),
        TEST(transfer_that_is_not_wanted_ends),
        TEST(transfer_says_that_nobody_listens),
        TEST(transfer_is_silent_after_cancel),
        TEST(name_is_looked_up_once_and_never_by_libcurl),
        TEST(name_with_a_dot_at_its_end_is_the_same_to_libcurl),
        TEST(localhost_and_odd_literals_are_not_looked_up),
        TEST(name_of_the_proxy_is_looked_up),
        TEST(next_address_of_a_name_is_tried),
        TEST(addresses_of_a_name_are_judged),
        TEST(unknown_name_fails),
        TEST(slow_name_ends_in_time_and_nobody_waits_for_it),
        TEST(without_a_resolver_there_are_only_addresses),
        cmocka_unit_test(url_split_knows_what_is_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
