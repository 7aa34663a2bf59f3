/* SPDX-License-Identifier: Apache-2.0 */
/* Makes listening sockets from addresses as people write them. Names are not looked up, except
 * "localhost", which means both loopbacks on one port. */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "socket_address.h"

#define BACKLOG       4096
#define PORT_ATTEMPTS 16

struct bound_socket {
    int fd;
    char text[ADDRESS_TEXT_SIZE];
};

static socklen_t length_of(const union socket_address *address)
{
    if (address->any.sa_family == AF_INET)
        return sizeof(address->v4);
    if (address->any.sa_family == AF_INET6)
        return sizeof(address->v6);
    return sizeof(address->local);
}

static int set_options(int fd, const union socket_address *address, bool is_dual, struct error *err)
{
    int on = 1;
    int only_v6 = is_dual ? 0 : 1;

    if (address->any.sa_family != AF_UNIX &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return error_set_errno(err, errno, "cannot set an option of a socket");
    if (address->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6)) < 0)
        return error_set_errno(err, errno, "cannot set an option of a socket");
    return 0;
}

int listener_print_address(int fd, char out[ADDRESS_TEXT_SIZE], struct error *err)
{
    union socket_address address = {0};
    socklen_t length = sizeof(address);

    if (getsockname(fd, &address.any, &length) < 0)
        return error_set_errno(err, errno, "cannot read the address of a socket");
    if (address.any.sa_family == AF_UNIX)
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "unix:%s", address.local.sun_path);
    else
        socket_address_print(&address, out);
    return 0;
}

static int open_socket(const union socket_address *address, bool is_dual, struct bound_socket *out,
                       struct error *err)
{
    AUTO_CLOSE int fd =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_set_errno(err, errno, "cannot make a socket");
    int rc = set_options(fd, address, is_dual, err);
    if (rc)
        return rc;
    if (bind(fd, &address->any, length_of(address)) < 0)
        return error_set_errno(err, errno, "cannot bind");
    if (address->any.sa_family == AF_UNIX && chmod(address->local.sun_path, 0600) < 0)
        return error_set_errno(err, errno, "cannot restrict access to %s", address->local.sun_path);
    if (listen(fd, BACKLOG) < 0)
        return error_set_errno(err, errno, "cannot listen");
    rc = listener_print_address(fd, out->text, err);
    if (rc)
        return rc;
    out->fd = fd_take(&fd);
    return 0;
}

static void set_v4(union socket_address *out, struct in_addr host, uint16_t port)
{
    *out = (union socket_address){
        .v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host}};
}

static void set_v6(union socket_address *out, struct in6_addr host, uint16_t port)
{
    *out = (union socket_address){
        .v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = host}};
}

static uint16_t port_of(int fd)
{
    union socket_address address = {0};
    socklen_t length = sizeof(address);

    if (getsockname(fd, &address.any, &length) < 0)
        return 0;
    return ntohs(address.v4.sin_port);
}

static bool has_no_ipv6(const struct error *err)
{
    return err->sys == EAFNOSUPPORT || err->sys == EADDRNOTAVAIL || err->sys == EPROTONOSUPPORT;
}

/* The port that the kernel chose for one loopback may be in use on the other: try again. */
static int bind_localhost(uint16_t port, struct bound_socket bound[2], unsigned *count,
                          struct error *err)
{
    const struct in_addr v4 = {htonl(INADDR_LOOPBACK)};
    int rc = 0;

    for (int attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
        union socket_address address;

        set_v4(&address, v4, port);
        rc = open_socket(&address, false, &bound[0], err);
        if (rc)
            return rc;
        set_v6(&address, in6addr_loopback, port_of(bound[0].fd));
        rc = open_socket(&address, false, &bound[1], err);
        if (!rc || has_no_ipv6(err)) {
            *count = rc ? 1 : 2;
            return 0;
        }
        fd_close(&bound[0].fd);
        if (port != 0 || err->sys != EADDRINUSE)
            break;
    }
    return rc;
}

/* Is it a socket file that a killed server has left? Only a socket that refuses is known to be. */
static bool is_left_behind(const union socket_address *address)
{
    struct stat status;

    if (lstat(address->local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, &address->any, length_of(address)) != 0 && errno == ECONNREFUSED;
}

static int bind_unix(struct slice path, struct bound_socket *out, struct error *err)
{
    union socket_address address = {.local = {.sun_family = AF_UNIX}};

    if (path.length == 0 || path.length >= sizeof(address.local.sun_path)) {
        return error_set(err, ERR_INVALID, "the path of a unix socket has 1 to %zu bytes",
                         sizeof(address.local.sun_path) - 1);
    }
    memcpy(address.local.sun_path, path.data, path.length);
    if (is_left_behind(&address)) /* bind() says that any other file is in use */
        (void)unlink(address.local.sun_path);
    mode_t before = umask(0177);
    int rc = open_socket(&address, false, out, err);
    umask(before);
    return rc;
}

static int parse_port(struct slice text, uint16_t *out, struct error *err)
{
    uint64_t port;

    if (text_parse_u64(text, &port, err) < 0 || port > UINT16_MAX)
        return error_set(err, ERR_INVALID, "a port is a number from 0 to 65535");
    *out = (uint16_t)port;
    return 0;
}

static int bind_host(struct slice host, uint16_t port, struct bound_socket *out, struct error *err)
{
    char text[INET6_ADDRSTRLEN] = "";
    union socket_address address;
    struct in_addr v4;
    struct in6_addr v6;
    bool is_v6 = host.length >= 2 && host.data[0] == '[' && host.data[host.length - 1] == ']';

    if (is_v6)
        host = slice_from(host.data + 1, host.length - 2);
    if (host.length < sizeof(text))
        memcpy(text, host.data, host.length);
    if (is_v6 && inet_pton(AF_INET6, text, &v6) == 1) {
        set_v6(&address, v6, port);
        return open_socket(&address, IN6_IS_ADDR_UNSPECIFIED(&v6), out, err);
    }
    if (!is_v6 && inet_pton(AF_INET, text, &v4) == 1) {
        set_v4(&address, v4, port);
        return open_socket(&address, false, out, err);
    }
    return error_set(err, ERR_INVALID,
                     "an address is IPV4:PORT, [IPV6]:PORT, localhost:PORT or unix:PATH");
}

static int bind_all(struct slice address, struct bound_socket bound[2], unsigned *count,
                    struct error *err)
{
    uint16_t port = 0;

    *count = 1;
    if (slice_starts_with(address, "unix:"))
        return bind_unix(slice_skip(address, 5), &bound[0], err);
    ptrdiff_t colon = slice_find_last(address, ':');
    if (colon < 0)
        return error_set(err, ERR_INVALID, "a port is missing");
    int rc = parse_port(slice_skip(address, (size_t)colon + 1), &port, err);
    if (rc)
        return rc;
    struct slice host = slice_from(address.data, (size_t)colon);
    if (slice_is_nocase(host, "localhost"))
        return bind_localhost(port, bound, count, err);
    return bind_host(host, port, &bound[0], err);
}

int listener_bind(struct slice address, int fds[4], char texts[4][ADDRESS_TEXT_SIZE],
                  unsigned *count, struct error *err)
{
    struct bound_socket bound[2] = {{.fd = -1}, {.fd = -1}};
    unsigned found = 0;
    int rc = bind_all(address, bound, &found, err);

    if (rc)
        return error_wrap(err, "address \"%.*s\"", SLICE_PRINT(address));
    for (unsigned i = 0; i < found; i++) {
        fds[i] = bound[i].fd;
        memcpy(texts[i], bound[i].text, ADDRESS_TEXT_SIZE);
    }
    *count = found;
    return 0;
}
