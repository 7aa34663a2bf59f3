/* SPDX-License-Identifier: Apache-2.0 */
/* What `entrepot check` tries beyond reading the configuration; nothing is changed by it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "base/text.h"
#include "cli/cli.h"
#include "config/config.h"
#include "net/listener.h"

/* Can the address be bound? Nobody is there for less than a millisecond. */
static int try_address(const char *address, struct error *err)
{
    int fds[LISTENER_SOCKETS_MAX] = {-1, -1, -1, -1};
    char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE] = {{0}};
    unsigned count = 0;
    int rc = listener_bind(slice_of(address), fds, texts, &count, err);

    for (unsigned i = 0; i < LISTENER_SOCKETS_MAX; i++)
        fd_close(&fds[i]);
    return rc;
}

/* Port 0 of the host, so a server that runs already is no problem. */
static bool has_host(const char *address, ptrdiff_t colon)
{
    char any_port[ADDRESS_TEXT_SIZE];
    struct error err;

    (void)snprintf(any_port, sizeof(any_port), "%.*s:0", (int)colon, address);
    return try_address(any_port, &err) == 0 || err.sys != EADDRNOTAVAIL ||
           slice_starts_with(slice_of(address), "[::]:");
}

/* Low ports are root's. */
static bool may_have_port(const char *address, ptrdiff_t colon)
{
    uint64_t port = 0;
    struct error err;

    if (text_parse_u64(slice_of(address + colon + 1), &port, &err) != 0 || port == 0 ||
        port >= 1024)
        return true;
    return try_address(address, &err) == 0 || err.sys != EACCES;
}

static unsigned examine_socket_file(const char *setting, const char *path)
{
    AUTO_FREE char *folder = mem_strdup(path);
    char *slash = strrchr(folder, '/');

    if (slash)
        slash[slash == folder] = '\0';
    if (access(slash ? folder : ".", W_OK | X_OK) == 0)
        return 0;
    (void)fprintf(stderr,
                  "%s: unix:%s: %s; the folder of the socket must be there, and ours to write in\n",
                  setting, path, strerrordesc_np(errno));
    return 1;
}

static unsigned examine_address(const char *setting, const char *address)
{
    ptrdiff_t colon = slice_find_last(slice_of(address), ':');

    if (slice_starts_with(slice_of(address), "unix:"))
        return examine_socket_file(setting, address + sizeof("unix:") - 1);
    if (colon >= 0 && !has_host(address, colon)) {
        (void)fprintf(stderr,
                      "%s: this machine does not have the address of %s; ip address lists those "
                      "it has\n",
                      setting, address);
        return 1;
    }
    if (colon >= 0 && !may_have_port(address, colon)) {
        (void)fprintf(stderr,
                      "%s: only root may listen on the port of %s; start as root, or choose a "
                      "port from 1024 on\n",
                      setting, address);
        return 1;
    }
    return 0;
}

unsigned cli_examine(const struct config *config)
{
    unsigned problems = 0;

    for (size_t i = 0; i < config->listen_count; i++)
        problems += examine_address("listen", config->listens[i].address);
    if (config->admin)
        problems += examine_address("admin", config->admin);
    return problems;
}
