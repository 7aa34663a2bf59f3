/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes ROOT with its folders and the file `layout`. Refuses a folder that somebody else uses, a
 * newer layout, a network file system (locks and memory maps do not work there), folders on several
 * file systems (files are renamed between them), and blobs whose ledger is lost.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/slice.h"
#include "base/text.h"
#include "layout.h"

#define CIFS_MAGIC 0xff534d42UL
#define SMB2_MAGIC 0xfe534d42UL

#define SAID_AGAIN_MS 10000
#define ABOVE_MODE    0755

#define STOCK_FOLDER "docker/registry/v2"
#define NAMES_MAX    2048

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

/* The names of the folders survive a power cut. */
static int sync_folders(int root_fd, struct error *err)
{
    AUTO_CLOSE int blobs_fd = -1;
    int rc = layout_open_folder(root_fd, LAYOUT_BLOBS, &blobs_fd, err);

    if (rc == 0)
        rc = layout_sync(blobs_fd, LAYOUT_BLOBS, err);
    return rc != 0 ? rc : layout_sync(root_fd, "the storage folder", err);
}

/* False: what will be in it might not survive. */
static bool make_again(int root_fd, const char *folder)
{
    struct error err;

    (void)mkdirat(root_fd, LAYOUT_BLOBS, LAYOUT_FOLDER_MODE);
    if (mkdirat(root_fd, folder, LAYOUT_FOLDER_MODE) != 0)
        return true; /* it is there, or opening it fails */
    log_say(LOG_WARN, "the folder %s was removed while the server runs; it is made again", folder);
    if (sync_folders(root_fd, &err) == 0)
        return true;
    log_say(LOG_ERROR, "the folder %s was made again: %s", folder, err.text);
    return false;
}

bool layout_renew(const struct store *store, int fd, const char *folder, bool may_make)
{
    AUTO_CLOSE int again = -1;
    struct stat status;
    struct error ignored;

    if (fstat(fd, &status) != 0 || status.st_nlink > 0)
        return false;
    if (may_make && !make_again(store->root_fd, folder))
        return false;
    return layout_open_folder(store->root_fd, folder, &again, &ignored) == 0 &&
           dup3(again, fd, O_CLOEXEC) == fd;
}

int layout_folder_lost(const char *folder, struct error *err)
{
    static _Atomic uint64_t said_ms; /* every request finds it; one line in ten seconds is enough */
    uint64_t now_ms = clock_mono().ms;
    uint64_t last_ms = atomic_load(&said_ms);

    if ((last_ms == 0 || now_ms - last_ms >= SAID_AGAIN_MS) &&
        atomic_compare_exchange_strong(&said_ms, &last_ms, now_ms)) {
        log_say(LOG_ERROR,
                "the folder %s was removed while the server runs; start the server again", folder);
    }
    return error_set(err, ERR_IO, "the folder %s was removed while the server runs", folder);
}

int layout_open_folder(int at, const char *name, int *out_fd, struct error *err)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder %s", name);
    *out_fd = fd;
    return 0;
}

int layout_advise(struct error *err)
{
    switch (err->sys) {
    case EACCES:
    case EPERM:
        return error_advise(err,
                            "give the folder to the user %u (chown -R %u), or set storage.path to "
                            "a folder that this user may write",
                            (unsigned)geteuid(), (unsigned)geteuid());
    case EROFS:
        return error_advise(err, "mount its file system for writing, or set storage.path to a "
                                 "folder on another one");
    case ENOSPC:
    case EDQUOT:
        return error_advise(err, "make room on its file system, or set storage.path to a folder "
                                 "on another one");
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ELOOP:
        return error_advise(err, "something else stands there; move it away, or set storage.path "
                                 "to another folder");
    case EIO:
        return error_advise(err, "the disk fails; the log of the kernel (dmesg) says more");
    default:
        return -(int)err->kind;
    }
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

static int make_folder(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) == 0)
        return sync_parent(path, err);
    if (errno == EEXIST)
        return 0;
    return error_set_errno(err, errno, "cannot make folder %s", path);
}

/* Makes ROOT and the folders above it. Those stay root's, and the server's user has to go through
 * them. */
static int make_root(const char *root, struct error *err)
{
    AUTO_FREE char *path = mem_strdup(root);

    for (char *at = path + 1; *path != '\0' && *at != '\0'; at++) {
        if (*at != '/' || at[1] == '/' || at[1] == '\0')
            continue;
        *at = '\0';
        struct stat status;
        int rc = stat(path, &status) == 0 ? 0 : make_folder(path, ABOVE_MODE, err);
        if (rc != 0)
            return rc;
        *at = '/';
    }
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return make_folder(path, LAYOUT_FOLDER_MODE, err);
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
    return is_new ? sync_folders(root_fd, err) : 0;
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

static int refuse_layout(const char *root, struct error *err)
{
    return error_set(err, ERR_CORRUPT,
                     "%s/" LAYOUT_FILE
                     " was not written by Entrepot, or is damaged; if the images in "
                     "%s are yours, make its content the line `entrepot %d`, else set storage.path "
                     "to another folder",
                     root, root, LAYOUT_VERSION);
}

static int check_layout(const char *root, struct slice text, struct error *err)
{
    static const char product[] = "entrepot ";
    uint64_t version = 0;
    struct error ignored;

    if (!slice_starts_with(text, product) || !slice_ends_with(text, "\n"))
        return refuse_layout(root, err);
    struct slice number = slice_skip(text, sizeof(product) - 1);
    number.length--;
    if (text_parse_u64(number, &version, &ignored) != 0 || version == 0)
        return refuse_layout(root, err);
    if (version > LAYOUT_VERSION) {
        return error_set(err, ERR_UNSUPPORTED,
                         "%s has layout %llu, but this program only knows up to %d; use a newer "
                         "program",
                         root, (unsigned long long)version, LAYOUT_VERSION);
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

static int read_layout(int root_fd, const char *root, bool *out_is_there, struct error *err)
{
    AUTO_CLOSE int fd = openat(root_fd, LAYOUT_FILE, O_RDONLY | O_CLOEXEC);

    *out_is_there = fd >= 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "cannot read the file layout");
    char text[64];
    ssize_t length = read(fd, text, sizeof(text));
    if (length < 0)
        return error_set_errno(err, errno, "cannot read the file layout");
    return check_layout(root, slice_from(text, (size_t)length), err);
}

/* ---- whose folder it is ---- */

#define NAMES_SHOWN 5

static DIR *open_entries(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);

    if (!entries)
        fd_close(&fd);
    return entries;
}

/* The next name, without "." and ".."; NULL at the end. */
static const char *next_name(DIR *entries)
{
    const struct dirent *entry = NULL;

    while ((entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe) */
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry->d_name;
    }
    return NULL;
}

/* `lost+found` is the file system's, and a start that was killed leaves `layout.new`. */
static bool may_be_in_new_folder(const char *name)
{
    return strcmp(name, "lost+found") == 0 || strcmp(name, LAYOUT_FILE ".new") == 0;
}

/* A folder without our `layout` must be empty: what is in it is not ours to change or to give away.
 */
static int refuse_foreign(int root_fd, const char *root, struct error *err)
{
    AUTO_BUF struct buf names;
    DIR *entries = open_entries(root_fd, ".");
    const char *name = NULL;
    size_t count = 0;
    struct stat status;

    if (!entries)
        return error_set_errno(err, errno, "cannot read the folder %s", root);
    buf_init(&names, NAMES_MAX);
    while ((name = next_name(entries))) {
        if (!may_be_in_new_folder(name) && ++count <= NAMES_SHOWN)
            buf_printf(&names, "%s%s", count > 1 ? ", " : "", name);
    }
    (void)closedir(entries);
    if (count == 0)
        return 0;
    if (fstatat(root_fd, STOCK_FOLDER, &status, 0) == 0 && S_ISDIR(status.st_mode)) {
        return error_set(err, ERR_CONFLICT,
                         "%s holds the images of a stock registry (" STOCK_FOLDER "), which this "
                         "version cannot take over; set storage.path to an empty folder",
                         root);
    }
    if (count > NAMES_SHOWN)
        buf_printf(&names, " and %zu more", count - NAMES_SHOWN);
    return error_set(err, ERR_CONFLICT,
                     "%s is not empty and was not made by Entrepot: it has %s; set storage.path to "
                     "an empty folder",
                     root, buf_text(&names));
}

/* ---- a lost ledger ---- */

static bool has_blobs(int root_fd, const char *algorithm)
{
    DIR *folders_of_blobs = open_entries(root_fd, algorithm);
    const char *name = NULL;
    bool is_found = false;

    while (folders_of_blobs && !is_found && (name = next_name(folders_of_blobs))) {
        DIR *blobs = open_entries(dirfd(folders_of_blobs), name);

        is_found = blobs && next_name(blobs);
        if (blobs)
            (void)closedir(blobs);
    }
    if (folders_of_blobs)
        (void)closedir(folders_of_blobs);
    return is_found;
}

/* The ledger is made before the first blob is placed. Blobs without one were not left by a crash,
 * and an empty registry in their place would go unnoticed. */
static int refuse_lost_ledger(int root_fd, const char *root, struct error *err)
{
    struct stat status;
    bool is_there = fstatat(root_fd, LAYOUT_DATABASE, &status, 0) == 0;

    if (is_there ? status.st_size > 0 : errno != ENOENT)
        return 0;
    if (!has_blobs(root_fd, LAYOUT_SHA256) && !has_blobs(root_fd, LAYOUT_SHA512))
        return 0;
    return error_set(err, ERR_CORRUPT,
                     "%s/" LAYOUT_DATABASE " is %s, but %s/" LAYOUT_BLOBS " holds images: their "
                     "names and tags are in that file; restore it from a backup, or move "
                     "%s/" LAYOUT_BLOBS " away to begin with an empty registry",
                     root, is_there ? "empty" : "missing", root, root);
}

static int explain(const char *root, struct error *err)
{
    if (err->sys == 0) /* a text of ours says all */
        return -(int)err->kind;
    (void)error_wrap(err, "storage.path %s", root);
    return layout_advise(err);
}

/* The nearest folder above that exists is where the first one would be made. */
static int examine_above(const char *root, struct error *err)
{
    AUTO_FREE char *path = mem_strdup(root);
    const char *nearest = path;
    struct stat status;

    while (nearest == path && stat(path, &status) != 0) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path)
            nearest = slash ? "/" : ".";
        else
            *slash = '\0';
    }
    if (access(nearest, W_OK | X_OK) != 0)
        return error_set_errno(err, errno, "cannot make the folder below %s", nearest);
    return 0;
}

static int examine_folder(int root_fd, const char *root, struct error *err)
{
    bool is_there = false;
    int rc = read_layout(root_fd, root, &is_there, err);

    if (rc == 0)
        rc = refuse_network(root_fd, root, err);
    if (rc != 0)
        return rc;
    return is_there ? refuse_lost_ledger(root_fd, root, err) : refuse_foreign(root_fd, root, err);
}

int store_examine(const char *root, struct error *err)
{
    AUTO_CLOSE int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    if (root_fd < 0 && errno == ENOENT)
        rc = examine_above(root, err);
    else if (root_fd < 0 || access(root, W_OK | X_OK) != 0)
        rc = error_set_errno(err, errno, "cannot write in it");
    else
        rc = examine_folder(root_fd, root, err);
    return rc == 0 ? 0 : explain(root, err);
}

static int prepare_folder(int root_fd, const char *root, struct error *err)
{
    bool is_there = false;
    int rc = read_layout(root_fd, root, &is_there, err);

    if (rc == 0)
        rc = refuse_network(root_fd, root, err);
    if (rc == 0 && !is_there)
        rc = refuse_foreign(root_fd, root, err);
    if (rc == 0 && is_there)
        rc = refuse_lost_ledger(root_fd, root, err);
    if (rc == 0 && !is_there)
        rc = write_layout(root_fd, err);
    if (rc == 0)
        rc = make_folders(root_fd, err);
    return rc == 0 ? check_one_file_system(root_fd, err) : rc;
}

int store_prepare(const char *root, struct error *err)
{
    AUTO_CLOSE int root_fd = -1;
    int rc = make_root(root, err);

    if (rc == 0)
        rc = layout_open_folder(AT_FDCWD, root, &root_fd, err);
    if (rc == 0)
        rc = prepare_folder(root_fd, root, err);
    return rc == 0 ? 0 : explain(root, err);
}
