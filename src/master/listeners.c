/* SPDX-License-Identifier: Apache-2.0 */
/* Binds what the settings `listen` and `admin` say. */
#include "listeners.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"

_Static_assert((CONFIG_LISTENS_MAX + 1) * LISTENER_SOCKETS_MAX == LISTENERS_MAX, "room for all");
_Static_assert(CONFIG_WORKERS_MAX == WORKERS_MAX, "a slot for each worker");

/* The workers of a server that was killed close their sockets within milliseconds. */
#define IN_USE_ATTEMPTS 25
#define IN_USE_PAUSE_NS 20000000L

/* On a machine without IPv6, "[::]:5000" means every IPv4 address. */
static int bind_any(struct slice address, int fds[LISTENER_SOCKETS_MAX],
                    char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE], unsigned *count,
                    struct error *err)
{
    int rc = listener_bind(address, fds, texts, count, err);

    if (rc == 0 || !slice_starts_with(address, "[::]:") ||
        (err->sys != EAFNOSUPPORT && err->sys != EADDRNOTAVAIL))
        return rc;
    char other[ADDRESS_TEXT_SIZE];
    (void)snprintf(other, sizeof(other), "0.0.0.0:%.*s", (int)(address.length - 5),
                   address.data + 5);
    log_say(LOG_WARN, "this machine has no IPv6; listening on %s instead", other);
    return listener_bind(slice_of(other), fds, texts, count, err);
}

static int add(struct listeners *listeners, const char *address, enum listener_kind kind,
               struct error *err)
{
    int fds[LISTENER_SOCKETS_MAX] = {-1, -1, -1, -1};
    char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE] = {{0}};
    unsigned count = 0;
    int rc = bind_any(slice_of(address), fds, texts, &count, err);

    for (int again = 0; rc != 0 && err->sys == EADDRINUSE && again < IN_USE_ATTEMPTS; again++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = IN_USE_PAUSE_NS}, NULL);
        rc = bind_any(slice_of(address), fds, texts, &count, err);
    }
    if (rc != 0)
        return error_wrap(err, "cannot listen on %s", address);
    for (unsigned i = 0; i < count; i++) {
        struct bound *bound = &listeners->items[listeners->count++];

        bound->fd = fds[i];
        bound->kind = kind;
        (void)snprintf(bound->address, sizeof(bound->address), "%s", texts[i]);
    }
    return 0;
}

int listeners_open(const struct config *config, struct listeners *out, struct error *err)
{
    *out = (struct listeners){.count = 0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];

        rc = add(out, listen->address, listen->is_mirror ? LISTENER_MIRROR : LISTENER_FULL, err);
    }
    if (rc == 0 && config->admin)
        rc = add(out, config->admin, LISTENER_ADMIN, err);
    if (rc != 0)
        listeners_close(out);
    return rc;
}

void listeners_close(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        fd_close(&listeners->items[i].fd);
    listeners->count = 0;
}
