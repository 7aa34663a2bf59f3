/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "net/listener.h"
#include "port_owner.h"

/* Binds the address, and tells the port that it got as text. */
static void listen_on(const char *address, int fds[LISTENER_SOCKETS_MAX], char *port, size_t size)
{
    char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE] = {{0}};
    unsigned count = 0;
    struct error err;

    for (unsigned i = 0; i < LISTENER_SOCKETS_MAX; i++)
        fds[i] = -1;
    assert_int_equal(listener_bind(slice_of(address), fds, texts, &count, &err), 0);
    const char *colon = strrchr(texts[0], ':');
    assert_non_null(colon);
    (void)snprintf(port, size, "%s", colon + 1);
}

static void close_all(int fds[LISTENER_SOCKETS_MAX])
{
    for (unsigned i = 0; i < LISTENER_SOCKETS_MAX; i++)
        fd_close(&fds[i]);
}

static void expect(const char *host, const char *port, bool is_there)
{
    char address[ADDRESS_TEXT_SIZE];
    struct port_owner owner = {.pid = 0};

    (void)snprintf(address, sizeof(address), "%s:%s", host, port);
    if (port_owner_find(slice_of(address), &owner) != is_there)
        fail_msg("%s", address);
    if (!is_there)
        return;
    assert_int_equal(owner.pid, getpid());
    assert_int_equal(strncmp(owner.name, "test_master_por", 15), 0);
}

static void who_listens_on_a_port_is_found(void **state)
{
    (void)state;
    int fds[LISTENER_SOCKETS_MAX];
    char port[16];
    listen_on("127.0.0.1:0", fds, port, sizeof(port));
    expect("127.0.0.1", port, true);
    expect("localhost", port, true);
    expect("0.0.0.0", port, true);
    expect("[::]", port, true);
    expect("127.0.0.2", port, false);
    close_all(fds);
    expect("127.0.0.1", port, false);
    listen_on("0.0.0.0:0", fds, port, sizeof(port));
    expect("127.0.0.1", port, true);
    close_all(fds);
}

static void who_listens_on_a_socket_file_is_found(void **state)
{
    (void)state;
    int fds[LISTENER_SOCKETS_MAX];
    char folder[] = "/tmp/entrepot-owner-XXXXXX";
    char path[64];
    char address[80];
    char ignored[64];
    struct port_owner owner = {.pid = 0};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    listen_on(address, fds, ignored, sizeof(ignored));
    assert_true(port_owner_find(slice_of(address), &owner));
    assert_int_equal(owner.pid, getpid());
    close_all(fds);
    assert_false(port_owner_find(slice_of(address), &owner));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void nonsense_has_no_owner(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "", "x", "x:", "x:y", "127.0.0.1:0", "127.0.0.1:99999", "unix:"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct port_owner owner;

        assert_false(port_owner_find(slice_of(addresses[i]), &owner));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_listens_on_a_port_is_found),
        cmocka_unit_test(who_listens_on_a_socket_file_is_found),
        cmocka_unit_test(nonsense_has_no_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
