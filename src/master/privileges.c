/* SPDX-License-Identifier: Apache-2.0 */
/* Only the master stays root, to bind ports and to start the other processes as another user. */
#include "privileges.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "master/master.h"

#define DESCRIPTORS_MAX (1u << 20)

/* Fills in uid, gid and name. False: there is no such user. */
static bool user_find(const char *name, struct identity *out)
{
    char buffer[16384];
    struct passwd entry;
    struct passwd *found = NULL;

    if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
        return false;
    out->uid = found->pw_uid;
    out->gid = found->pw_gid;
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
    return true;
}

int identity_resolve(const char *user, struct identity *out, struct error *err)
{
    struct identity identity = {.uid = geteuid(), .gid = getegid()};
    const char *name = user ? user : "entrepot";
    bool is_root = geteuid() == 0;

    if (is_root || user) {
        if (!user_find(name, &identity)) {
            return error_set(err, ERR_NOT_FOUND,
                             "there is no user %s; add it (useradd --system --no-create-home "
                             "--shell /usr/sbin/nologin %s)%s",
                             name, name,
                             !user ? ", or start with --user root" : ", or set another one");
        }
        if (!is_root && identity.uid != geteuid()) {
            return error_set(
                err, ERR_DENIED,
                "only root can start the server as the user %s; start it as root, or as that user",
                name);
        }
    }
    identity.is_other = is_root && identity.uid != 0;
    *out = identity;
    return 0;
}

bool privileges_drop(const struct identity *identity)
{
    (void)umask(027);
    if (identity->is_other && (initgroups(identity->name, identity->gid) != 0 ||
                               setgid(identity->gid) != 0 || setuid(identity->uid) != 0))
        return false;
    return prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) == 0;
}

void privileges_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}
