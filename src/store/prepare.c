/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes ROOT with its folders and the file `layout`, and gives them to the server's user. Refuses a
 * newer layout, a network file system (locks and memory maps do not work there), and folders on
 * several file systems (files are renamed between them).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "base/text.h"
#include "layout.h"

#define CIFS_MAGIC 0xff534d42UL
#define SMB2_MAGIC 0xfe534d42UL

static const char *const folders[] = {
    LAYOUT_BLOBS, LAYOUT_SHA256, LAYOUT_SHA512, LAYOUT_SPOOL, LAYOUT_UPLOADS, LAYOUT_LEDGER,
};
#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

int layout_sync(int fd, const char *what, struct error *err)
{
    if (fsync(fd) != 0)
        return error_set_errno(err, errno, "cannot sync %s", what);
    return 0;
}

int layout_open_folder(int at, const char *name, int *out_fd, struct error *err)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder %s", name);
    *out_fd = fd;
    return 0;
}

/* Syncs the folder that contains the last component of a path. */
static int sync_parent(const char *path, struct error *err)
{
    AUTO_FREE char *copy = mem_strdup(path);
    char *slash = strrchr(copy, '/');
    const char *parent = !slash ? "." : slash == copy ? "/" : copy;

    if (slash && slash != copy)
        *slash = '\0';
    AUTO_CLOSE int fd = -1;
    int rc = layout_open_folder(AT_FDCWD, parent, &fd, err);
    return rc != 0 ? rc : layout_sync(fd, parent, err);
}

static int make_folder(const char *path, struct error *err)
{
    if (mkdir(path, LAYOUT_FOLDER_MODE) == 0)
        return sync_parent(path, err);
    if (errno == EEXIST)
        return 0;
    return error_set_errno(err, errno, "cannot make folder %s", path);
}

/* Makes ROOT and the folders above it. */
static int make_root(const char *root, struct error *err)
{
    AUTO_FREE char *path = mem_strdup(root);

    for (char *at = path + 1; *path != '\0' && *at != '\0'; at++) {
        if (*at != '/' || at[1] == '/' || at[1] == '\0')
            continue;
        *at = '\0';
        struct stat status;
        int rc = stat(path, &status) == 0 ? 0 : make_folder(path, err);
        if (rc != 0)
            return rc;
        *at = '/';
    }
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return make_folder(path, err);
}

static int refuse_network(int root_fd, const char *root, struct error *err)
{
    struct statfs status;

    if (fstatfs(root_fd, &status) != 0)
        return error_set_errno(err, errno, "cannot examine the file system of %s", root);
    unsigned long type = (unsigned long)status.f_type & 0xffffffffUL;
    if (type == NFS_SUPER_MAGIC || type == SMB_SUPER_MAGIC || type == CIFS_MAGIC ||
        type == SMB2_MAGIC) {
        return error_set(
            err, ERR_UNSUPPORTED,
            "%s is on a network file system (NFS or SMB); set storage.path to a local disk", root);
    }
    return 0;
}

static int make_folders(int root_fd, struct error *err)
{
    bool is_new = false;

    for (size_t i = 0; i < FOLDERS; i++) {
        if (mkdirat(root_fd, folders[i], LAYOUT_FOLDER_MODE) == 0)
            is_new = true;
        else if (errno != EEXIST)
            return error_set_errno(err, errno, "cannot make folder %s", folders[i]);
    }
    if (!is_new)
        return 0;
    AUTO_CLOSE int blobs_fd = -1;
    int rc = layout_open_folder(root_fd, LAYOUT_BLOBS, &blobs_fd, err);
    if (rc == 0)
        rc = layout_sync(blobs_fd, LAYOUT_BLOBS, err);
    return rc != 0 ? rc : layout_sync(root_fd, "the storage folder", err);
}

static int check_one_file_system(int root_fd, struct error *err)
{
    struct stat first;

    if (fstatat(root_fd, folders[0], &first, 0) != 0)
        return error_set_errno(err, errno, "cannot examine %s", folders[0]);
    for (size_t i = 1; i < FOLDERS; i++) {
        struct stat status;

        if (fstatat(root_fd, folders[i], &status, 0) != 0)
            return error_set_errno(err, errno, "cannot examine %s", folders[i]);
        if (!S_ISDIR(status.st_mode))
            return error_set(err, ERR_CORRUPT, "%s is not a folder", folders[i]);
        bool is_ledger = strcmp(folders[i], LAYOUT_LEDGER) == 0;
        if (status.st_dev != first.st_dev && !is_ledger) {
            return error_set(err, ERR_UNSUPPORTED,
                             "%s and %s are on different file systems; they must be on one",
                             folders[0], folders[i]);
        }
    }
    return 0;
}

/* ---- layout ---- */

static int check_layout(struct slice text, struct error *err)
{
    static const char product[] = "entrepot ";
    uint64_t version = 0;
    struct error ignored;

    if (!slice_starts_with(text, product) || !slice_ends_with(text, "\n")) {
        return error_set(err, ERR_CORRUPT,
                         "the file `layout` in the storage folder was not written by Entrepot; set "
                         "storage.path to another folder");
    }
    struct slice number = slice_skip(text, sizeof(product) - 1);
    number.length--;
    if (text_parse_u64(number, &version, &ignored) != 0 || version == 0) {
        return error_set(err, ERR_CORRUPT,
                         "the file `layout` in the storage folder was not written by Entrepot; set "
                         "storage.path to another folder");
    }
    if (version > LAYOUT_VERSION) {
        return error_set(err, ERR_UNSUPPORTED,
                         "the storage folder has layout %llu, but this program only knows up to "
                         "%d; use a newer program",
                         (unsigned long long)version, LAYOUT_VERSION);
    }
    return 0;
}

static int write_layout(int root_fd, struct error *err)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "entrepot %d\n", LAYOUT_VERSION);
    AUTO_CLOSE int fd = openat(root_fd, LAYOUT_FILE ".new",
                               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, LAYOUT_FILE_MODE);

    if (fd < 0)
        return error_set_errno(err, errno, "cannot write the file layout");
    int rc = fd_write_all(fd, text, (size_t)length, err);
    if (rc == 0)
        rc = layout_sync(fd, LAYOUT_FILE, err);
    if (rc != 0)
        return rc;
    if (renameat(root_fd, LAYOUT_FILE ".new", root_fd, LAYOUT_FILE) != 0)
        return error_set_errno(err, errno, "cannot write the file layout");
    return layout_sync(root_fd, "the storage folder", err);
}

static int read_layout(int root_fd, bool *out_is_there, struct error *err)
{
    AUTO_CLOSE int fd = openat(root_fd, LAYOUT_FILE, O_RDONLY | O_CLOEXEC);

    *out_is_there = fd >= 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "cannot read the file layout");
    char text[64];
    ssize_t length = read(fd, text, sizeof(text));
    if (length < 0)
        return error_set_errno(err, errno, "cannot read the file layout");
    return check_layout(slice_from(text, (size_t)length), err);
}

int store_prepare(const char *root, struct error *err)
{
    int rc = make_root(root, err);

    if (rc != 0)
        return rc;
    AUTO_CLOSE int root_fd = -1;
    rc = layout_open_folder(AT_FDCWD, root, &root_fd, err);
    if (rc != 0)
        return rc;
    bool is_there = false;
    rc = read_layout(root_fd, &is_there, err);
    if (rc == 0)
        rc = refuse_network(root_fd, root, err);
    if (rc == 0)
        rc = make_folders(root_fd, err);
    if (rc == 0)
        rc = check_one_file_system(root_fd, err);
    if (rc == 0 && !is_there)
        rc = write_layout(root_fd, err);
    return rc;
}

/* ---- the folder's owner ---- */

#define GIVE_DEPTH  3 /* ROOT/blobs/sha256/ab */
#define GIVE_ALWAYS 2 /* ROOT and its folders are looked at even when they are the user's */

struct new_owner {
    uid_t uid;
    gid_t gid;
    const char *name;
};

static int give_folder(int at, const char *name, const struct new_owner *owner, unsigned depth,
                       struct error *err);

/* A file with a second name is left alone: somebody may have linked another file here, to be given
 * it. */
static int give_entry(int folder, const char *name, const struct new_owner *owner, unsigned depth,
                      struct error *err)
{
    struct stat status;

    if (name[0] == '.' || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    bool is_roots = status.st_uid == 0;
    if (S_ISDIR(status.st_mode) && depth > 0 && (is_roots || depth > GIVE_ALWAYS))
        return give_folder(folder, name, owner, depth - 1, err);
    if (S_ISREG(status.st_mode) && is_roots && status.st_nlink == 1 &&
        fchownat(folder, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_errno(err, errno, "cannot give %s to %s", name, owner->name);
    return 0;
}

/* The contents are given before the folder: so a folder that is the user's already is done, and a
 * start does not look at every blob. */
static int give_folder(int at, const char *name, const struct new_owner *owner, unsigned depth,
                       struct error *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (at == AT_FDCWD ? 0 : O_NOFOLLOW);
    int fd = openat(at, name, flags);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder) {
        int rc = error_set_errno(err, errno, "cannot read folder %s", name);

        fd_close(&fd);
        return rc;
    }
    int rc = 0;
    const struct dirent *entry = NULL;
    while (rc == 0 && (entry = readdir(folder))) /* NOLINT(concurrency-mt-unsafe) */
        rc = give_entry(fd, entry->d_name, owner, depth, err);
    struct stat status;
    if (rc == 0 && fstat(fd, &status) == 0 && status.st_uid == 0 &&
        fchown(fd, owner->uid, owner->gid) != 0)
        rc = error_set_errno(err, errno, "cannot give folder %s to %s", name, owner->name);
    (void)closedir(folder);
    return rc;
}

int store_give(const char *root, uid_t uid, gid_t gid, const char *name, struct error *err)
{
    struct new_owner owner = {.uid = uid, .gid = gid, .name = name};

    return give_folder(AT_FDCWD, root, &owner, GIVE_DEPTH, err);
}
