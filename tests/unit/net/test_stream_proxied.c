/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that begin with the PROXY protocol, over plain streams and over awkward ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/fd.h"
#include "net/stream.h"
#include "server_fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: us\r\n\r\n"
#define HEADER    "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"

static int setup(void **state)
{
    int rc = fixture_setup(state);
    struct fixture *f = *state;
    int pair[2];

    fd_close(&f->client);
    fixture_run(f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    http_server_adopt(f->server, &stream_proxied, &pair[0], "proxy", false);
    f->client = pair[1];
    return rc;
}

/* /later is left to the test, which may look at its connection. */
static void check_peer(struct fixture *f, const char *peer)
{
    (void)fixture_talk(f, GET("/later"));
    assert_non_null(f->later);
    assert_true(http_conn_is_relayed(f->later));
    assert_string_equal(http_conn_peer(f->later), peer);
}

static void client_is_the_one_of_the_header(void **state)
{
    (void)fixture_talk(*state, HEADER);
    check_peer(*state, "192.0.2.1:4711");
}

static void header_and_requests_come_together(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(count_of(fixture_talk(f, HEADER GET("/hello") GET("/hello")), "200 OK"), 2);
    assert_int_equal(f->requests, 2);
    check_peer(f, "192.0.2.1:4711");
}

static void header_comes_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    char byte[2] = "";

    for (const char *c = HEADER GET("/hello"); c[1] != '\0'; c++) {
        byte[0] = *c;
        assert_string_equal(fixture_talk(f, byte), "");
    }
    assert_int_equal(f->requests, 0);
    assert_int_equal(count_of(fixture_talk(f, "\n"), "200 OK"), 1);
    check_peer(f, "192.0.2.1:4711");
}

static void checks_keep_the_proxy_as_the_client(void **state)
{
    static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    struct fixture *f = *state;

    assert_int_equal(send(f->client, local, sizeof(local) - 1, 0), sizeof(local) - 1);
    check_peer(f, "proxy");
}

static void check_closed(struct fixture *f)
{
    assert_true(f->is_ended || f->is_reset);
    assert_int_equal(http_server_connections(f->server), 0);
    assert_int_equal(f->requests, 0);
    assert_int_equal(f->refused, 0);
}

static void without_it_the_connection_is_closed(void **state)
{
    assert_string_equal(fixture_talk(*state, GET("/hello")), "");
    check_closed(*state);
}

static void malformed_is_closed(void **state)
{
    assert_string_equal(fixture_talk(*state, "PROXY TCP4 nonsense\r\n" GET("/hello")), "");
    check_closed(*state);
}

static void half_of_it_is_closed(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "PROXY TCP4 192.0.2.1");
    assert_int_equal(http_server_connections(f->server), 1);
    assert_int_equal(shutdown(f->client, SHUT_WR), 0);
    fixture_run(f);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void it_has_a_deadline(void **state)
{
    struct fixture *f = *state;

    (void)fixture_talk(f, "PROXY TCP4 192.0.2.1");
    fixture_wait(f, 4999);
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_wait(f, 2);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void server_ends_in_the_middle_of_it(void **state)
{
    (void)fixture_talk(*state, "PROXY TCP4 192.0.2.1");
}

static void elsewhere_it_is_refused_with_its_name(void **state)
{
    struct fixture *f = *state;

    fd_close(&f->client);
    fixture_run(f);
    f->client = fixture_connect(f);
    const char *answer = fixture_talk(f, HEADER);
    assert_int_equal(count_of(answer, "400 Bad Request"), 1);
    assert_int_equal(count_of(answer, "PROXY protocol"), 1);
    fd_close(&f->client);
    fixture_run(f);
    f->client = fixture_connect(f);
    static const char binary[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    assert_int_equal(send(f->client, binary, sizeof(binary) - 1, 0), sizeof(binary) - 1);
    assert_int_equal(count_of(fixture_talk(f, ""), "400 Bad Request"), 1);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(client_is_the_one_of_the_header),
        WITH_FIXTURE(header_and_requests_come_together),
        WITH_FIXTURE(header_comes_byte_by_byte),
        WITH_FIXTURE(checks_keep_the_proxy_as_the_client),
        WITH_FIXTURE(without_it_the_connection_is_closed),
        WITH_FIXTURE(malformed_is_closed),
        WITH_FIXTURE(half_of_it_is_closed),
        WITH_FIXTURE(it_has_a_deadline),
        WITH_FIXTURE(server_ends_in_the_middle_of_it),
        WITH_FIXTURE(elsewhere_it_is_refused_with_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
