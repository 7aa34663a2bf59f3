/* SPDX-License-Identifier: Apache-2.0 */
/* Binds what the settings `listen` and `admin` say. */
#include "listeners.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "master/master.h"
#include "port_owner.h"

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

/* The group first: until it is right, nobody new may connect. */
static int give_socket(const struct config_listen *listen, struct error *err)
{
    const char *path = listen->address + sizeof("unix:") - 1;
    gid_t gid = 0;
    int rc = listen->group ? group_resolve(listen->group, &gid, err) : 0;

    if (rc != 0)
        return error_wrap(err, "listen: %s", listen->address);
    if (listen->group && chown(path, (uid_t)-1, gid) != 0) {
        return error_set_errno(err, errno, "listen: cannot give %s to the group %s", path,
                               listen->group);
    }
    if (listen->mode != 0 && chmod(path, listen->mode) != 0)
        return error_set_errno(err, errno, "listen: cannot set the mode of %s", path);
    return 0;
}

static int refuse_busy(const char *setting, const char *address, struct error *err)
{
    struct port_owner owner;

    if (port_owner_find(slice_of(address), &owner)) {
        return error_set(err, ERR_BUSY,
                         "%s: %s (process %d) listens on %s already; stop it, or choose another "
                         "address with --%s",
                         setting, owner.name, (int)owner.pid, address, setting);
    }
    if (slice_starts_with(slice_of(address), "unix:")) {
        return error_set(err, ERR_BUSY,
                         "%s: there is something at the path of %s that is not a socket of a "
                         "server that ended; remove it, or choose another path with --%s",
                         setting, address, setting);
    }
    return error_set(err, ERR_BUSY,
                     "%s: another program listens on %s already (as root, ss -ltnp shows it); "
                     "stop it, or choose another address with --%s",
                     setting, address, setting);
}

/* Adds to the error of the kernel the setting, and what to do. */
static int refuse(const char *setting, const char *address, struct error *err)
{
    bool is_unix = slice_starts_with(slice_of(address), "unix:");

    if (err->sys == EADDRINUSE)
        return refuse_busy(setting, address, err);
    (void)error_wrap(err, "%s", setting);
    if (is_unix)
        return error_advise(err, "the folder of the socket must be there, and ours to write in");
    if (err->sys == EADDRNOTAVAIL)
        return error_advise(err, "ip address lists the addresses that this machine has");
    if (err->sys == EACCES) {
        return error_advise(err, "only root may listen on such a low port; start as root, the "
                                 "processes then run as the user that the setting user names, or "
                                 "choose a port from 1024 on");
    }
    return -(int)err->kind;
}

static int add(struct listeners *listeners, const char *address, enum listener_kind kind,
               bool is_proxied, struct error *err)
{
    int fds[LISTENER_SOCKETS_MAX] = {-1, -1, -1, -1};
    char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE] = {{0}};
    const char *setting = kind == LISTENER_ADMIN ? "admin" : "listen";
    unsigned count = 0;
    int rc = bind_any(slice_of(address), fds, texts, &count, err);

    for (int again = 0; rc != 0 && err->sys == EADDRINUSE && again < IN_USE_ATTEMPTS; again++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = IN_USE_PAUSE_NS}, NULL);
        rc = bind_any(slice_of(address), fds, texts, &count, err);
    }
    if (rc != 0)
        return refuse(setting, address, err);
    for (unsigned i = 0; i < count; i++) {
        struct bound *bound = &listeners->items[listeners->count++];

        bound->fd = fds[i];
        bound->kind = kind;
        bound->is_proxied = is_proxied;
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

        rc = add(out, listen->address, listen->is_mirror ? LISTENER_MIRROR : LISTENER_FULL,
                 listen->is_proxied, err);
        if (rc == 0 && slice_starts_with(slice_of(listen->address), "unix:"))
            rc = give_socket(listen, err);
    }
    if (rc == 0 && config->admin)
        rc = add(out, config->admin, LISTENER_ADMIN, false, err);
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
