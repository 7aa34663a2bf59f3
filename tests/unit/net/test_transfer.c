/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl on the real loop, against a small server of sockets on the same loop. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "fakes/names.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/transfer.h"
#include "transfer_fixture.h"

static void transfer_gives_head_and_body(void **state)
{
    (void)state;
    client_start(TRANSFER_GET,
                 "HTTP/1.1 103 Early Hints\r\nETag: no\r\n\r\n"
                 "HTTP/1.1 200 OK\r\netag:  \"x\" \r\nContent-Length: 2097152\r\n\r\n",
                 BLOB_SIZE);
    client_run();
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
    client_start(TRANSFER_GET,
                 "HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.status, 307);
}

static void transfer_of_head_has_a_length_and_no_body(void **state)
{
    (void)state;
    client_start(TRANSFER_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.content_length, 77);
    assert_int_equal(strncmp(server.head, "HEAD ", 5), 0);
}

static void transfer_goes_on_after_pauses(void **state)
{
    (void)state;
    client.pauses_wanted = 10;
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
    client_run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.pauses, 10);
    assert_int_equal(client.bytes, BLOB_SIZE);
}

static void transfer_that_is_cut_fails(void **state)
{
    (void)state;
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", 1000);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(client.bytes, 1000);
}

static void transfer_with_two_framings_fails(void **state)
{
    (void)state;
    client_start(
        TRANSFER_GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(client.status, 0);
}

static void transfer_with_another_coding_fails(void **state)
{
    client_start(TRANSFER_GET, *state, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(client.status, 0);
}

static void transfer_that_is_chunked_works(void **state)
{
    client_start(TRANSFER_GET, *state, 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_NONE);
    assert_int_equal(client.content_length, UINT64_MAX);
    assert_int_equal(client.bytes, 2);
}

static void transfer_without_answer_times_out(void **state)
{
    (void)state;
    client.patience_ms = 300;
    server.stays_open = true;
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\n", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
}

static void transfer_that_stalls_times_out(void **state)
{
    (void)state;
    client.patience_ms = 300;
    server.stays_open = true;
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", 1000);
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_int_equal(client.bytes, 1000);
}

static void transfer_that_drips_ends_in_time(void **state)
{
    (void)state;
    server.stays_open = true;
    server.drip_ms = 20;
    client.total_ms = 500;
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", 1000);
    uint64_t begin = clock_mono().ms;
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_in_range(client.bytes, 2, 999);
    assert_in_range(clock_mono().ms - begin, 450, 5000);
}

static void transfer_can_be_limited_at_its_head(void **state)
{
    (void)state;
    server.stays_open = true;
    client.limit_ms = 50;
    client_start(TRANSFER_GET, "HTTP/1.1 404 No\r\nContent-Length: 100\r\n\r\n", 1);
    uint64_t begin = clock_mono().ms;
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_int_equal(client.bytes, 1);
    assert_in_range(clock_mono().ms - begin, 50, 5000);
}

static void transfer_asks_before_it_connects(void **state)
{
    (void)state;
    client.refuses = true;
    client_start(TRANSFER_GET, "", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_DENIED);
    assert_string_equal(server.head, "");
}

static void transfer_that_is_not_wanted_ends(void **state)
{
    (void)state;
    client.wants_no_body = true;
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
    client_run();
    assert_int_equal(client.err.kind, ERR_CANCELLED);
    assert_int_equal(client.bytes, 0);
}

static void transfer_says_that_nobody_listens(void **state)
{
    (void)state;
    watch_free(&server.listening);
    fd_close(&server.listener);
    client_start(TRANSFER_GET, "", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_non_null(strstr(client.err.text, "refused"));
}

static void transfer_is_silent_after_cancel(void **state)
{
    (void)state;
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
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

static void name_is_looked_up_once_and_never_by_libcurl(void **state)
{
    (void)state;
    fake_name_set("Registry.test", "127.0.0.1", 0);
    client.host = "registry.TEST";
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    assert_int_equal(client.asked_addresses, 1);
    assert_non_null(strstr(server.head, "\r\nHost: registry.TEST:"));
    client_next();
    client.host = "registry.test";
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    assert_int_equal(fake_name_asked(NULL), 1);
}

static void name_with_a_dot_at_its_end_is_the_same_to_libcurl(void **state)
{
    (void)state;
    fake_name_set("registry.test.", "127.0.0.1", 0);
    client.host = "registry.test.";
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    assert_int_equal(fake_name_asked(NULL), 1);
}

static void localhost_and_odd_literals_are_not_looked_up(void **state)
{
    static const char *const hosts[] = {"localhost", "127.1", "0x7f000001", "2130706433"};

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        client_next();
        client.host = hosts[i];
        client.takes_ipv6 = true;
        client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
        client_check();
    }
    assert_int_equal(fake_name_asked(NULL), 0);
}

static void name_of_the_proxy_is_looked_up(void **state)
{
    (void)state;
    fake_name_set("proxy.test", "127.0.0.1", 0);
    client.host = "registry.test";
    client.proxy = "proxy.test";
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    assert_int_equal(strncmp(server.head, "GET http://registry.test:", 25), 0);
    assert_int_equal(fake_name_asked("proxy.test"), 1);
    assert_int_equal(fake_name_asked(NULL), 1);
}

static void address_that_a_socks_proxy_would_get_is_judged(void **state)
{
    (void)state;
    fake_name_set("proxy.test", "127.0.0.1", 0);
    fake_name_set("registry.test", "127.0.0.1", 0);
    client.host = "registry.test";
    client.proxy = "proxy.test";
    client.proxy_scheme = "socks5";
    client.refuses = true;
    client_start(TRANSFER_GET, "", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_DENIED);
    assert_int_equal(client.asked_addresses, 1);
    assert_int_equal(fake_name_asked("proxy.test"), 1);
    assert_int_equal(fake_name_asked("registry.test"), 1);
    assert_string_equal(server.head, "");
}

static void next_address_of_a_name_is_tried(void **state)
{
    (void)state;
    fake_name_set("registry.test", "127.0.0.2 127.0.0.1", 0);
    client.host = "registry.test";
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    assert_int_equal(client.asked_addresses, 2);
}

/* On a machine without IPv6 only the second address is left, which is as good. */
static void addresses_of_both_families_are_given_to_libcurl(void **state)
{
    (void)state;
    fake_name_set("registry.test", "::1 127.0.0.1", 0);
    client.host = "registry.test";
    client.takes_ipv6 = true;
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    assert_in_range(client.asked_addresses, 1, 2);
    assert_int_equal(fake_name_asked(NULL), 1);
}

static void addresses_of_a_name_are_judged(void **state)
{
    (void)state;
    fake_name_set("registry.test", "127.0.0.1", 0);
    client.host = "registry.test";
    client.refuses = true;
    client_start(TRANSFER_GET, "", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_DENIED);
    assert_string_equal(server.head, "");
}

static void unknown_name_fails(void **state)
{
    (void)state;
    client.host = "nobody.test";
    client_start(TRANSFER_GET, "", 0);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_non_null(strstr(client.err.text, "nobody.test"));
}

static void slow_name_ends_in_time_and_nobody_waits_for_it(void **state)
{
    (void)state;
    fake_name_set("slow.test", "127.0.0.1", 0);
    fake_names_hold(true);
    client.host = "slow.test";
    client.patience_ms = 300;
    client_start(TRANSFER_GET, "", 0);
    uint64_t begin = clock_mono().ms;
    client_run();
    assert_int_equal(client.err.kind, ERR_TIMEOUT);
    assert_non_null(strstr(client.err.text, "slow.test"));
    assert_in_range(clock_mono().ms - begin, 300, 5000);
    client_next();
    client.host = "slow.test";
    client_start(TRANSFER_GET, "", 0);
    loop_turn(server.loop, 0);
    transfer_cancel(&client.transfer);
    client_next();
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
    transfer_set_free(&server.set);
    resolver_free(&server.resolver);
    fake_names_hold(false);
}

static void without_a_resolver_there_are_only_addresses(void **state)
{
    struct error err;
    struct transfer_set *set = transfer_set_new(server.loop, NULL, NULL);
    struct transfer_request request = {.url = "http://registry.test/", .head_timeout_ms = 1000};
    struct transfer *transfer = NULL;

    (void)state;
    assert_int_equal(transfer_start(set, &request, NULL, NULL, &transfer, &err), -ERR_INVALID);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define CODING(name, header)                                                                       \
    cmocka_unit_test_prestate_setup_teardown(                                                      \
        name, fixture_setup, fixture_teardown,                                                     \
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
        TEST(address_that_a_socks_proxy_would_get_is_judged),
        TEST(next_address_of_a_name_is_tried),
        TEST(addresses_of_both_families_are_given_to_libcurl),
        TEST(addresses_of_a_name_are_judged),
        TEST(unknown_name_fails),
        TEST(slow_name_ends_in_time_and_nobody_waits_for_it),
        TEST(without_a_resolver_there_are_only_addresses),
        cmocka_unit_test(url_split_knows_what_is_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
