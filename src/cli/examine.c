/* SPDX-License-Identifier: Apache-2.0 */
/* What `entrepot check` tries beyond reading the configuration; nothing is changed by it. */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "cli/cli.h"
#include "config/config.h"
#include "net/listener.h"
#include "store/store.h"

/* Binds port 0 of the host, so a server that runs already is no problem. */
static bool has_host(const char *address)
{
    int fds[LISTENER_SOCKETS_MAX] = {-1, -1, -1, -1};
    char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE] = {{0}};
    char any_port[ADDRESS_TEXT_SIZE];
    unsigned count = 0;
    struct error err;
    ptrdiff_t colon = slice_find_last(slice_of(address), ':');

    if (slice_starts_with(slice_of(address), "unix:") || colon < 0)
        return true;
    (void)snprintf(any_port, sizeof(any_port), "%.*s:0", (int)colon, address);
    int rc = listener_bind(slice_of(any_port), fds, texts, &count, &err);
    for (unsigned i = 0; i < LISTENER_SOCKETS_MAX; i++)
        fd_close(&fds[i]);
    return rc == 0 || err.sys != EADDRNOTAVAIL || slice_starts_with(slice_of(address), "[::]:");
}

static unsigned examine_address(const char *setting, const char *address)
{
    if (has_host(address))
        return 0;
    (void)fprintf(
        stderr, "%s: this machine does not have the address of %s; ip address lists those it has\n",
        setting, address);
    return 1;
}

unsigned cli_examine(const struct config *config)
{
    unsigned problems = 0;
    struct error err;

    for (size_t i = 0; i < config->listen_count; i++)
        problems += examine_address("listen", config->listens[i].address);
    if (config->admin)
        problems += examine_address("admin", config->admin);
    if (store_examine(config->storage.path, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        problems++;
    }
    return problems;
}
