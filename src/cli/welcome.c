/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a person at a terminal how clients reach the server that was just started. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/slice.h"
#include "cli/cli.h"

#define HOST_SIZE (INET6_ADDRSTRLEN + sizeof("[]"))

union host_address {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
};

/* False for loopback and for addresses that mean nothing on other machines. */
static bool print_host(const union host_address *address, char out[HOST_SIZE])
{
    char text[INET6_ADDRSTRLEN];

    if (address->any.sa_family == AF_INET) {
        if (ntohl(address->ip4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ||
            !inet_ntop(AF_INET, &address->ip4.sin_addr, text, sizeof(text)))
            return false;
        (void)snprintf(out, HOST_SIZE, "%s", text);
        return true;
    }
    if (IN6_IS_ADDR_LOOPBACK(&address->ip6.sin6_addr) ||
        IN6_IS_ADDR_LINKLOCAL(&address->ip6.sin6_addr) ||
        !inet_ntop(AF_INET6, &address->ip6.sin6_addr, text, sizeof(text)))
        return false;
    (void)snprintf(out, HOST_SIZE, "[%s]", text);
    return true;
}

/* The address that packets to the rest of the world leave from; nothing is sent. */
static bool find_host_by_route(char out[HOST_SIZE])
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    union host_address address = {.ip4 = {.sin_family = AF_INET,
                                          .sin_port = htons(9),
                                          .sin_addr.s_addr = htonl(0x01000001)}}; /* public */
    socklen_t length = sizeof(address.ip4);

    return fd >= 0 && connect(fd, &address.any, length) == 0 &&
           getsockname(fd, &address.any, &length) == 0 && print_host(&address, out);
}

/* The first address of this family that other machines may know. */
static bool find_host(const struct ifaddrs *interfaces, sa_family_t family, char out[HOST_SIZE])
{
    for (const struct ifaddrs *each = interfaces; each; each = each->ifa_next) {
        union host_address address = {0};

        if (!each->ifa_addr || each->ifa_addr->sa_family != family)
            continue;
        memcpy(&address, each->ifa_addr,
               family == AF_INET ? sizeof(address.ip4) : sizeof(address.ip6));
        if (print_host(&address, out))
            return true;
    }
    return false;
}

/* What other machines call this one; "localhost" when it has no such address. */
static void own_host(bool has_ip6, char out[HOST_SIZE])
{
    struct ifaddrs *interfaces = NULL;

    (void)snprintf(out, HOST_SIZE, "localhost");
    if (find_host_by_route(out) || getifaddrs(&interfaces) < 0)
        return;
    if (!find_host(interfaces, AF_INET, out) && has_ip6)
        (void)find_host(interfaces, AF_INET6, out);
    freeifaddrs(interfaces);
}

/* The address as a client would write it. Returns whether only clients on this machine can. */
static bool client_address(const char *address, char *out, size_t size)
{
    struct slice text = slice_of(address);
    ptrdiff_t colon = slice_find_last(text, ':');
    const char *port = address + (colon >= 0 ? colon : 0);
    bool is_ip6 = slice_starts_with(text, "[::]:");
    char host[HOST_SIZE];

    if (slice_starts_with(text, "127.0.0.1:") || slice_starts_with(text, "[::1]:")) {
        (void)snprintf(out, size, "localhost%s", port);
        return true;
    }
    if (is_ip6 || slice_starts_with(text, "0.0.0.0:")) {
        own_host(is_ip6, host);
        (void)snprintf(out, size, "%s%s", host, port);
        return false;
    }
    (void)snprintf(out, size, "%s", address);
    return false;
}

void cli_print_welcome(const char *const *addresses, size_t count)
{
    const char *first = NULL;
    char here[160];
    char insecure[200] = "";

    for (size_t i = 0; i < count && !first; i++) {
        if (!slice_starts_with(slice_of(addresses[i]), "unix:") && addresses[i][0] != '/')
            first = addresses[i];
    }
    if (!first || isatty(STDERR_FILENO) == 0)
        return;
    bool is_local = client_address(first, here, sizeof(here));
    if (!is_local)
        (void)snprintf(insecure, sizeof(insecure), ", \"insecure-registries\": [\"%s\"]", here);
    (void)fprintf(
        stderr,
        "\n"
        "  Docker      in /etc/docker/daemon.json, then systemctl reload docker:\n"
        "                { \"registry-mirrors\": [\"http://%s\"]%s }\n"
        "  containerd  in /etc/containerd/certs.d/docker.io/hosts.toml:\n"
        "                server = \"https://registry-1.docker.io\"\n"
        "                [host.\"http://%s\"]\n"
        "                  capabilities = [\"pull\", \"resolve\"]\n"
        "              which is read only if its config.toml has\n"
        "                config_path = \"/etc/containerd/certs.d\"\n"
        "  to push     docker tag IMAGE %s/NAME; docker push %s/NAME\n"
        "  k3s, MicroK8s, podman and others: docs/clients.md\n"
        "%s"
        "\n",
        here, insecure, here, here, here,
        is_local ? "  Only this machine can use it; all others with --listen 0.0.0.0:PORT\n" : "");
}
