/* SPDX-License-Identifier: Apache-2.0 */
/* Binds what the settings `listen`, `admin` and `control` say. */
#include "listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "master/master.h"
#include "port_owner.h"

_Static_assert((CONFIG_LISTENS_MAX + 1) * LISTENER_SOCKETS_MAX + 1 == LISTENERS_MAX,
               "room for all");
_Static_assert(CONFIG_WORKERS_MAX == WORKERS_MAX, "a slot for each worker");

#define UNIX_LENGTH (sizeof("unix:") - 1)
#define CONTROL     "control.address"

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

/* Who may write to a socket file. */
struct socket_access {
    const char *setting;
    const char *path;
    uid_t uid;         /* -1: stays ours */
    gid_t gid;         /* -1: stays ours */
    const char *group; /* NULL: gid */
    unsigned mode;     /* 0: stays 0600 */
};

/* The folder may be another user's, who could put a link in the file's place meanwhile: the file
 * that is changed is the one that was opened. The group first: until it is right, nobody new may
 * connect. */
static int give_socket(const struct socket_access *access, struct error *err)
{
    char opened[64];
    struct stat status;
    gid_t gid = access->gid;
    int rc = access->group ? group_resolve(access->group, &gid, err) : 0;

    if (rc != 0)
        return error_wrap(err, "%s: unix:%s", access->setting, access->path);
    AUTO_CLOSE int fd = open(access->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return error_set(err, ERR_IO, "%s: the socket %s was replaced while it was made",
                         access->setting, access->path);
    }
    (void)snprintf(opened, sizeof(opened), "/proc/self/fd/%d", fd);
    if ((access->uid != (uid_t)-1 || gid != (gid_t)-1) &&
        fchownat(fd, "", access->uid, gid, AT_EMPTY_PATH) != 0) {
        return error_set_errno(err, errno, "%s: cannot give %s to %s %s", access->setting,
                               access->path, access->group ? "the group" : "its user",
                               access->group ? access->group : "");
    }
    if (access->mode != 0 && chmod(opened, access->mode) != 0) {
        return error_set_errno(err, errno, "%s: cannot set the mode of %s", access->setting,
                               access->path);
    }
    return 0;
}

static int refuse_busy(const char *setting, const char *address, struct error *err)
{
    struct port_owner owner;

    if (strcmp(setting, CONTROL) == 0) {
        return error_set(err, ERR_BUSY,
                         CONTROL ": another server serves %s, or it is not a socket; set another "
                                 "path, or end that server",
                         address);
    }

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
    const char *setting = kind == LISTENER_ADMIN     ? "admin"
                          : kind == LISTENER_CONTROL ? CONTROL
                                                     : "listen";
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
        if (rc == 0 && slice_starts_with(slice_of(listen->address), "unix:")) {
            rc = give_socket(&(struct socket_access){.setting = "listen",
                                                     .path = listen->address + UNIX_LENGTH,
                                                     .uid = (uid_t)-1,
                                                     .gid = (gid_t)-1,
                                                     .group = listen->group,
                                                     .mode = listen->mode},
                             err);
        }
    }
    if (rc == 0 && config->admin)
        rc = add(out, config->admin, LISTENER_ADMIN, false, err);
    if (rc != 0)
        listeners_close(out);
    return rc;
}

int listeners_add_control(struct listeners *listeners, const char *path,
                          const struct config *config, const struct identity *identity,
                          struct error *err)
{
    char address[ADDRESS_TEXT_SIZE];
    struct socket_access access = {
        .setting = CONTROL,
        .path = path,
        .uid = identity->is_other ? identity->uid : (uid_t)-1,
        .gid = identity->is_other ? identity->gid : (gid_t)-1,
        .group = config->control.group,
        .mode = config->control.mode,
    };

    (void)snprintf(address, sizeof(address), "unix:%s", path);
    int rc = add(listeners, address, LISTENER_CONTROL, false, err);
    if (rc != 0)
        return rc;
    rc = give_socket(&access, err);
    if (rc != 0)
        fd_close(&listeners->items[--listeners->count].fd);
    return rc;
}

void listeners_close(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        fd_close(&listeners->items[i].fd);
    listeners->count = 0;
}
