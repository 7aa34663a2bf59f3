/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives ROOT to the server's user: only entries that this program makes, by their place and the
 * form of their names, and only those that belong to root. Whatever else lies there stays as it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "layout.h"

#define HEX_DIGITS "0123456789abcdef"

/* Where we are below ROOT. */
enum give_level {
    GIVE_NOTHING, /* not ours */
    GIVE_ROOT,
    GIVE_LEDGER,
    GIVE_BLOBS,
    GIVE_ALGORITHM, /* blobs/sha256 */
    GIVE_DIGESTS,   /* blobs/sha256/ab */
    GIVE_FILES,     /* uploads, spool */
};

struct new_owner {
    uid_t uid;
    gid_t gid;
    const char *name;
};

static bool is_hex(const char *name, size_t length)
{
    return strlen(name) == length && strspn(name, HEX_DIGITS) == length;
}

/* Files of uploads/ and spool/ have an id or a digest in their names. */
static bool is_temporary(const char *name)
{
    size_t length = strlen(name);

    return length >= 34 && strspn(name, HEX_DIGITS "tshu-.") == length;
}

/* The level of a folder that we make, else GIVE_NOTHING. */
static enum give_level level_of_folder(enum give_level above, const char *name)
{
    struct slice text = slice_of(name);

    if (above == GIVE_ROOT && slice_is(text, LAYOUT_BLOBS))
        return GIVE_BLOBS;
    if (above == GIVE_ROOT && slice_is(text, LAYOUT_LEDGER))
        return GIVE_LEDGER;
    if (above == GIVE_ROOT && (slice_is(text, LAYOUT_UPLOADS) || slice_is(text, LAYOUT_SPOOL)))
        return GIVE_FILES;
    if (above == GIVE_BLOBS && (slice_is(text, "sha256") || slice_is(text, "sha512")))
        return GIVE_ALGORITHM;
    return above == GIVE_ALGORITHM && is_hex(name, 2) ? GIVE_DIGESTS : GIVE_NOTHING;
}

static bool is_our_file(enum give_level above, const char *name)
{
    struct slice text = slice_of(name);

    if (above == GIVE_ROOT)
        return slice_is(text, LAYOUT_FILE) || slice_is(text, LAYOUT_LOCK);
    if (above == GIVE_LEDGER)
        return slice_is(text, "data.mdb") || slice_is(text, "lock.mdb");
    if (above == GIVE_DIGESTS)
        return is_hex(name, 64) || is_hex(name, 128);
    return above == GIVE_FILES && is_temporary(name);
}

static int give_folder(int at, const char *name, const struct new_owner *owner,
                       enum give_level level, struct error *err);

/* A file with a second name is left alone: somebody may have linked another file here, to be given
 * it. The contents of a folder below ROOT's own are given before it, so one that is the user's is
 * done already, and a start does not look at every blob. */
static int give_entry(int folder, const char *name, const struct new_owner *owner,
                      enum give_level above, struct error *err)
{
    struct stat status;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    bool is_roots = status.st_uid == 0;
    if (S_ISDIR(status.st_mode)) {
        enum give_level level = level_of_folder(above, name);

        if (level == GIVE_NOTHING || (level == GIVE_DIGESTS && !is_roots))
            return 0;
        return give_folder(folder, name, owner, level, err);
    }
    if (S_ISREG(status.st_mode) && is_roots && status.st_nlink == 1 && is_our_file(above, name) &&
        fchownat(folder, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_errno(err, errno, "cannot give %s to %s", name, owner->name);
    return 0;
}

static int give_folder(int at, const char *name, const struct new_owner *owner,
                       enum give_level level, struct error *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (at == AT_FDCWD ? 0 : O_NOFOLLOW);
    int fd = openat(at, name, flags);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder) {
        int rc = error_set_errno(err, errno, "cannot read the folder %s", name);

        fd_close(&fd);
        return rc;
    }
    int rc = 0;
    const struct dirent *entry = NULL;
    while (rc == 0 && (entry = readdir(folder))) { /* NOLINT(concurrency-mt-unsafe) */
        if (entry->d_name[0] != '.')
            rc = give_entry(fd, entry->d_name, owner, level, err);
    }
    struct stat status;
    if (rc == 0 && fstat(fd, &status) == 0 && status.st_uid == 0 &&
        fchown(fd, owner->uid, owner->gid) != 0)
        rc = error_set_errno(err, errno, "cannot give the folder %s to %s", name, owner->name);
    (void)closedir(folder);
    return rc;
}

int store_may_give(const char *root, uid_t uid, gid_t gid, const char *name, struct error *err)
{
    struct stat status;

    /* Another user's folder is not ours to give, and the server could not write there. */
    bool is_others = stat(root, &status) == 0 && status.st_uid != 0 && status.st_uid != uid;
    bool may_write = (status.st_mode & S_IWOTH) != 0 ||
                     (status.st_gid == gid && (status.st_mode & S_IWGRP) != 0);
    if (is_others && !may_write) {
        return error_set(err, ERR_DENIED,
                         "%s belongs to the user %u, but the server runs as %s and cannot write "
                         "there; run chown -R %s %s, or set user: %u",
                         root, (unsigned)status.st_uid, name, name, root, (unsigned)status.st_uid);
    }
    return 0;
}

int store_give(const char *root, uid_t uid, gid_t gid, const char *name, struct error *err)
{
    struct new_owner owner = {.uid = uid, .gid = gid, .name = name};
    int rc = store_may_give(root, uid, gid, name, err);

    return rc != 0 ? rc : give_folder(AT_FDCWD, root, &owner, GIVE_ROOT, err);
}
