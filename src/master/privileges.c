/* SPDX-License-Identifier: Apache-2.0 */
/* Only the master stays root, to bind ports and to start the other processes as another user. */
#include "privileges.h"

#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"
#include "base/text.h"
#include "master/master.h"

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

/* "1000" and "1000:1000", as containers write users; they need no entry in /etc/passwd. */
static bool numbers_parse(const char *user, struct identity *out)
{
    struct slice rest = slice_of(user);
    struct slice first;
    uint64_t uid = 0;
    uint64_t gid = 0;
    struct error ignored;
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[16384];

    if (!slice_split(&rest, ':', &first) || text_parse_u64(first, &uid, &ignored) != 0 ||
        uid >= UINT32_MAX)
        return false;
    bool has_group = first.length < strlen(user);
    if (has_group && (text_parse_u64(rest, &gid, &ignored) != 0 || gid >= UINT32_MAX))
        return false;
    bool is_known = getpwuid_r((uid_t)uid, &entry, buffer, sizeof(buffer), &found) == 0 && found;
    out->uid = (uid_t)uid;
    out->gid = has_group ? (gid_t)gid : is_known ? found->pw_gid : (gid_t)uid;
    out->has_no_groups = has_group || !is_known;
    (void)snprintf(out->name, sizeof(out->name), "%s", is_known ? found->pw_name : user);
    return true;
}

/* Root is there without /etc/passwd, too. */
static bool identity_find(const char *user, struct identity *out)
{
    return user_find(user, out) || numbers_parse(strcmp(user, "root") == 0 ? "0" : user, out);
}

int group_resolve(const char *name, gid_t *out, struct error *err)
{
    char buffer[16384];
    struct group entry;
    struct group *found = NULL;
    uint64_t number = 0;

    if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) == 0 && found) {
        *out = found->gr_gid;
    } else if (text_parse_u64(slice_of(name), &number, err) == 0 && number < UINT32_MAX) {
        *out = (gid_t)number;
    } else {
        return error_set(err, ERR_NOT_FOUND,
                         "there is no group %s; add it (groupadd --system %s), or "
                         "name another one, or its number",
                         name, name);
    }
    return 0;
}

int identity_resolve(const char *user, struct identity *out, struct error *err)
{
    struct identity identity = {.uid = geteuid(), .gid = getegid()};
    bool is_root = geteuid() == 0;

    if (!is_root && !user) {
        char own[32];
        struct identity named = identity;

        (void)snprintf(own, sizeof(own), "%u", (unsigned)identity.uid);
        (void)numbers_parse(own, &named);
        memcpy(identity.name, named.name, sizeof(identity.name));
    } else if (!user && !user_find("entrepot", &identity)) {
        identity.is_fallback = true; /* as in most containers */
        (void)snprintf(identity.name, sizeof(identity.name), "root");
    } else if (user) {
        if (!identity_find(user, &identity)) {
            return error_set(
                err, ERR_NOT_FOUND,
                "user: there is no user %s; add it (useradd --system --no-create-home "
                "--shell /usr/sbin/nologin %s), or set another one, or numbers: UID:GID",
                user, user);
        }
        if (!is_root && identity.uid != geteuid()) {
            return error_set(
                err, ERR_DENIED,
                "only root can start the server as the user %s; start it as root, or as that user",
                user);
        }
    }
    identity.is_other = is_root && identity.uid != 0;
    *out = identity;
    return 0;
}

bool privileges_drop(const struct identity *identity)
{
    (void)umask(027);
    if (identity->is_other) {
        int rc = identity->has_no_groups ? setgroups(1, &identity->gid)
                                         : initgroups(identity->name, identity->gid);

        if (rc != 0 || setgid(identity->gid) != 0 || setuid(identity->uid) != 0)
            return false;
    }
    return prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) == 0;
}
