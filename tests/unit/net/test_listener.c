/* SPDX-License-Identifier: Apache-2.0 */
/* Binding addresses as people write them, and accepting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/stream.h"
#include "support/need.h"

struct bound {
    int fds[4];
    char texts[4][ADDRESS_TEXT_SIZE];
    unsigned count;
    struct error err;
};

static int bind_text(const char *text, struct bound *bound)
{
    *bound = (struct bound){.fds = {-1, -1, -1, -1}};
    return listener_bind(slice_of(text), bound->fds, bound->texts, &bound->count, &bound->err);
}

static void close_all(struct bound *bound)
{
    for (unsigned i = 0; i < 4; i++)
        fd_close(&bound->fds[i]);
}

static int connect_to(int listening)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);

    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    int client = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    return client;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    AUTO_CLOSE int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static void port_zero_is_resolved(void **state)
{
    (void)state;
    struct bound bound;
    assert_int_equal(bind_text("127.0.0.1:0", &bound), 0);
    assert_int_equal(bound.count, 1);
    assert_memory_equal(bound.texts[0], "127.0.0.1:", 10);
    assert_string_not_equal(bound.texts[0], "127.0.0.1:0");
    int client = connect_to(bound.fds[0]);
    fd_close(&client);
    close_all(&bound);
}

static void a_port_in_use_is_an_error(void **state)
{
    (void)state;
    struct bound first;
    struct bound second;
    assert_int_equal(bind_text("127.0.0.1:0", &first), 0);
    assert_int_equal(bind_text(first.texts[0], &second), -ERR_IO);
    assert_int_equal(second.err.sys, EADDRINUSE);
    assert_non_null(strstr(second.err.text, first.texts[0]));
    close_all(&first);
}

static void localhost_is_both_loopbacks_on_one_port(void **state)
{
    (void)state;
    struct bound bound;
    assert_int_equal(bind_text("localhost:0", &bound), 0);
    assert_memory_equal(bound.texts[0], "127.0.0.1:", 10);
    if (has_ipv6()) {
        assert_int_equal(bound.count, 2);
        assert_memory_equal(bound.texts[1], "[::1]:", 6);
        assert_string_equal(bound.texts[1] + 6, bound.texts[0] + 10);
    } else {
        assert_int_equal(bound.count, 1);
    }
    close_all(&bound);
}

static void the_ipv6_wildcard_takes_ipv4_too(void **state)
{
    (void)state;
    struct bound bound;
    NEED(has_ipv6(), "IPv6");
    assert_int_equal(bind_text("[::]:0", &bound), 0);
    struct sockaddr_in6 address;
    socklen_t length = sizeof(address);
    assert_int_equal(getsockname(bound.fds[0], (struct sockaddr *)&address, &length), 0);
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = address.sin6_port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    AUTO_CLOSE int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&v4, sizeof(v4)), 0);
    close_all(&bound);
}

static void a_unix_socket_is_private_and_replaces_a_stale_one(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_listener_XXXXXX";
    char text[128] = "unix:";
    struct bound bound;
    struct stat status;
    assert_non_null(mkdtemp(folder));
    (void)stpcpy(stpcpy(text + 5, folder), "/socket");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bind_text(text, &bound), 0);
        assert_string_equal(bound.texts[0], text);
        assert_int_equal(stat(text + 5, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
        int client = connect_to(bound.fds[0]);
        fd_close(&client);
        struct bound second;
        assert_int_equal(bind_text(text, &second), -ERR_IO); /* of a server that runs */
        client = connect_to(bound.fds[0]);
        fd_close(&client);
        close_all(&bound);
    }
    assert_int_equal(unlink(text + 5), 0);
    AUTO_CLOSE int file = open(text + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(bind_text(text, &bound), -ERR_IO); /* not ours to remove */
    assert_int_equal(unlink(text + 5), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* One that does not refuse us may be alive: a datagram socket cannot even be asked. */
static void only_a_unix_socket_that_refuses_is_replaced(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_listener_XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[128] = "unix:";
    struct bound bound;
    assert_non_null(mkdtemp(folder));
    (void)stpcpy(stpcpy(text + 5, folder), "/socket");
    (void)stpcpy(address.sun_path, text + 5);
    AUTO_CLOSE int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(bind_text(text, &bound), -ERR_IO);
    assert_int_equal(unlink(text + 5), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void what_is_no_address_is_invalid(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",         "127.0.0.1",    "127.0.0.1:",     "127.0.0.1:65536", "127.0.0.1:+1",
        ":32000",   "example:80",   "[::1:80",        "::1:80",          "[127.0.0.1]:80",
        "unix:",    "127.0.0:80",   "[]:80",          "1.2.3.4.5:80",    "localhost",
        "host:abc", "localhost:-1", "127.0.0.1:0x50",
    };
    struct bound bound;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (bind_text(texts[i], &bound) != -ERR_INVALID)
            fail_msg("\"%s\" is not refused: %s", texts[i], bound.err.text);
        assert_int_equal(bound.fds[0], -1);
    }
}

struct accepting {
    struct loop *loop;
    struct listener *listener;
    struct bound bound;
    unsigned accepted;
    unsigned asked;
    unsigned pauses; /* so many times to come */
    int last;
    char peer[ADDRESS_TEXT_SIZE];
};

static void on_accept(int *fd, const struct stream_kind *stream, const char *peer, void *arg)
{
    struct accepting *accepting = arg;

    assert_ptr_equal(stream, &stream_plain);
    accepting->accepted++;
    fd_close(&accepting->last);
    accepting->last = fd_take(fd);
    (void)stpncpy(accepting->peer, peer, sizeof(accepting->peer) - 1);
}

static void on_accept_ignored(int *fd, const struct stream_kind *stream, const char *peer,
                              void *arg)
{
    struct accepting *accepting = arg;

    (void)stream;
    (void)fd;
    (void)peer;
    accepting->accepted++;
}

static bool should_pause(void *arg)
{
    struct accepting *accepting = arg;

    accepting->asked++;
    if (accepting->pauses == 0)
        return false;
    accepting->pauses--;
    return true;
}

static void start(struct accepting *a, listener_accept_fn *on_accept_fn)
{
    *a = (struct accepting){.last = -1};
    clock_freeze((struct monotime){1000}, (struct walltime){0});
    a->loop = loop_new();
    assert_int_equal(bind_text("127.0.0.1:0", &a->bound), 0);
    int fd = dup(a->bound.fds[0]);
    a->listener = listener_new(a->loop, &fd, &stream_plain, on_accept_fn, should_pause, a);
    assert_int_equal(fd, -1);
}

static void stop(struct accepting *a)
{
    listener_free(&a->listener);
    loop_free(&a->loop);
    close_all(&a->bound);
    fd_close(&a->last);
    clock_thaw();
}

static void one_connection_is_accepted_a_turn(void **state)
{
    (void)state;
    struct accepting a;
    start(&a, on_accept);
    AUTO_CLOSE int first = connect_to(a.bound.fds[0]);
    AUTO_CLOSE int second = connect_to(a.bound.fds[0]);
    loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 1);
    loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 2);
    assert_memory_equal(a.peer, "127.0.0.1:", 10);
    int flags = fcntl(a.last, F_GETFL);
    int is_on = 0;
    socklen_t length = sizeof(is_on);
    assert_true(flags & O_NONBLOCK);
    assert_int_equal(getsockopt(a.last, IPPROTO_TCP, 1 /* TCP_NODELAY */, &is_on, &length), 0);
    assert_true(is_on);
    stop(&a);
}

static void it_pauses_for_a_millisecond_above_its_share(void **state)
{
    (void)state;
    struct accepting a;
    start(&a, on_accept);
    a.pauses = 3;
    AUTO_CLOSE int client = connect_to(a.bound.fds[0]);
    uint64_t before = clock_mono().ms;
    for (int i = 0; i < 20 && a.accepted == 0; i++)
        loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 1);
    assert_int_equal(a.asked, 4);
    assert_int_equal(clock_mono().ms - before, 3);
    stop(&a);
}

static void a_connection_that_nobody_else_takes_is_taken_after_ten_pauses(void **state)
{
    (void)state;
    struct accepting a;
    start(&a, on_accept);
    a.pauses = UINT_MAX; /* the other process hangs: above the share for ever */
    AUTO_CLOSE int first = connect_to(a.bound.fds[0]);
    AUTO_CLOSE int second = connect_to(a.bound.fds[0]);
    uint64_t before = clock_mono().ms;
    for (int i = 0; i < 100 && a.accepted < 2; i++)
        loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 2);
    assert_int_equal(clock_mono().ms - before, 10);
    stop(&a);
}

/* Also when this process has more than its share, or pauses: nobody comes for them later. */
static void drained_it_takes_what_is_queued_and_refuses_the_next(void **state)
{
    (void)state;
    struct accepting a;
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    start(&a, on_accept);
    a.pauses = UINT_MAX;
    assert_int_equal(getsockname(a.bound.fds[0], (struct sockaddr *)&address, &length), 0);
    AUTO_CLOSE int first = connect_to(a.bound.fds[0]);
    AUTO_CLOSE int second = connect_to(a.bound.fds[0]);
    AUTO_CLOSE int third = connect_to(a.bound.fds[0]);
    close_all(&a.bound); /* the master's copy */
    listener_drain(a.listener);
    assert_int_equal(a.accepted, 3);
    AUTO_CLOSE int late = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, length), -1);
    assert_int_equal(errno, ECONNREFUSED);
    listener_drain(a.listener);
    for (int i = 0; i < 5; i++)
        loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 3);
    stop(&a);
}

static void what_the_callback_does_not_take_is_closed(void **state)
{
    (void)state;
    struct accepting a;
    char byte;
    start(&a, on_accept_ignored);
    AUTO_CLOSE int client = connect_to(a.bound.fds[0]);
    loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 1);
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    stop(&a);
}

/* No descriptor beyond those open now. */
static void exhaust_descriptors(struct rlimit *before)
{
    AUTO_CLOSE int next = dup(0);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void without_descriptors_the_queue_still_moves(void **state)
{
    (void)state;
    struct accepting a;
    struct rlimit before;
    char byte;
    start(&a, on_accept);
    AUTO_CLOSE int unlucky = connect_to(a.bound.fds[0]);
    exhaust_descriptors(&before);
    for (int i = 0; i < 5; i++)
        loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 0);
    assert_true(recv(unlucky, &byte, 1, MSG_DONTWAIT) <= 0);
    assert_int_not_equal(errno, EAGAIN);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    AUTO_CLOSE int lucky = connect_to(a.bound.fds[0]);
    for (int i = 0; i < 5; i++)
        loop_turn(a.loop, 0);
    assert_int_equal(a.accepted, 1);
    stop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_zero_is_resolved),
        cmocka_unit_test(a_port_in_use_is_an_error),
        cmocka_unit_test(localhost_is_both_loopbacks_on_one_port),
        cmocka_unit_test(the_ipv6_wildcard_takes_ipv4_too),
        cmocka_unit_test(a_unix_socket_is_private_and_replaces_a_stale_one),
        cmocka_unit_test(only_a_unix_socket_that_refuses_is_replaced),
        cmocka_unit_test(what_is_no_address_is_invalid),
        cmocka_unit_test(one_connection_is_accepted_a_turn),
        cmocka_unit_test(it_pauses_for_a_millisecond_above_its_share),
        cmocka_unit_test(a_connection_that_nobody_else_takes_is_taken_after_ten_pauses),
        cmocka_unit_test(drained_it_takes_what_is_queued_and_refuses_the_next),
        cmocka_unit_test(what_the_callback_does_not_take_is_closed),
        cmocka_unit_test(without_descriptors_the_queue_still_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
