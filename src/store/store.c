/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open store: descriptors of its folders, the lock on ROOT, and blobs/, where files are opened
 * for reading, placed under their final name, and repaired when something else stands there. See
 * store/store.h.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "layout.h"

#define LOCK_POLL_MS   20
#define ROOM_LEAST     ((uint64_t)1 << 20) /* with less a push does not begin to fit */
#define PLACE_ATTEMPTS 2                   /* further ones, after making way */

int layout_place(const struct store *store, enum store_place place)
{
    switch (place) {
    case PLACE_UPLOADS:
        return store->uploads_fd;
    case PLACE_SPOOL:
        return store->spool_fd;
    }
    UNREACHABLE();
}

static int open_folders(struct store *store, const char *root, struct error *err)
{
    int rc = layout_open_folder(AT_FDCWD, root, &store->root_fd, err);

    if (rc == 0)
        rc = layout_open_folder(store->root_fd, LAYOUT_SHA256, &store->blobs_fds[0], err);
    if (rc == 0)
        rc = layout_open_folder(store->root_fd, LAYOUT_SHA512, &store->blobs_fds[1], err);
    if (rc == 0)
        rc = layout_open_folder(store->root_fd, LAYOUT_SPOOL, &store->spool_fd, err);
    if (rc == 0)
        rc = layout_open_folder(store->root_fd, LAYOUT_UPLOADS, &store->uploads_fd, err);
    return rc;
}

/* The master made the folder as root; we are the server's user. */
static int advise_on_way(const char *root, struct error *err)
{
    return error_advise(err,
                        "the user %u may not enter it, or a folder above it (namei -l %s shows "
                        "them); run chmod o+x on that folder, or set storage.path to another one",
                        (unsigned)geteuid(), root);
}

int store_open(const char *root, struct store **out, struct error *err)
{
    struct store *store = NEW(struct store);

    store->root_fd = store->blobs_fds[0] = store->blobs_fds[1] = -1;
    store->spool_fd = store->uploads_fd = store->lock_fd = -1;
    size_t room = strlen(root) + sizeof("/" LAYOUT_LEDGER);
    store->ledger_folder = mem_alloc(room);
    (void)snprintf(store->ledger_folder, room, "%s/" LAYOUT_LEDGER, root);
    int rc = open_folders(store, root, err);
    if (rc != 0) {
        store_close(&store);
        return err->sys == EACCES ? advise_on_way(root, err) : rc;
    }
    *out = store;
    return 0;
}

void store_close(struct store **store)
{
    if (!*store)
        return;
    fd_close(&(*store)->lock_fd);
    fd_close(&(*store)->uploads_fd);
    fd_close(&(*store)->spool_fd);
    fd_close(&(*store)->blobs_fds[1]);
    fd_close(&(*store)->blobs_fds[0]);
    fd_close(&(*store)->root_fd);
    mem_free((*store)->ledger_folder);
    mem_free(*store);
    *store = NULL;
}

const char *store_ledger_folder(const struct store *store)
{
    return store->ledger_folder;
}

int store_space(struct store *store, uint64_t *out_free, uint64_t *out_total, struct error *err)
{
    struct statvfs status;

    if (fstatvfs(store->root_fd, &status) != 0)
        return error_set_errno(err, errno, "cannot stat the file system");
    *out_free = FAILPOINT("store.space") ? 0 : (uint64_t)status.f_bavail * status.f_frsize;
    *out_total = (uint64_t)status.f_blocks * status.f_frsize;
    return 0;
}

int store_check_room(struct store *store, struct error *err)
{
    struct statvfs status;

    if (fstatvfs(store->root_fd, &status) != 0)
        return error_set_errno(err, errno, "cannot stat the file system");
    uint64_t room = FAILPOINT("store.space") ? 0 : (uint64_t)status.f_bavail * status.f_frsize;
    if (room < ROOM_LEAST) {
        return error_set(err, ERR_NO_SPACE,
                         "the registry's disk is full: %llu KiB of %llu MiB are free",
                         (unsigned long long)(room >> 10),
                         (unsigned long long)((uint64_t)status.f_blocks * status.f_frsize >> 20));
    }
    if (status.f_files > 0 && status.f_favail == 0) {
        return error_set(err, ERR_NO_SPACE,
                         "the registry's disk is full: none of its %llu inodes is free",
                         (unsigned long long)status.f_files);
    }
    return 0;
}

/* ---- the lock ---- */

/* The part of ledger_folder that is ROOT. */
static int root_length(const struct store *store)
{
    return (int)(strlen(store->ledger_folder) - (sizeof("/" LAYOUT_LEDGER) - 1));
}

static int refuse_lock(const struct store *store, int fd, struct error *err)
{
    char pid[16];
    ssize_t length = pread(fd, pid, sizeof(pid), 0);
    struct slice text = slice_from(pid, length > 0 ? (size_t)length : 0);

    if (slice_ends_with(text, "\n"))
        text.length--;
    return error_set(err, ERR_BUSY,
                     "storage.path %.*s is in use by another server (process %.*s); stop that one, "
                     "or set storage.path to another folder",
                     root_length(store), store->ledger_folder, SLICE_PRINT(text));
}

/* Blocks the thread: called only when the keeper starts. */
static int wait_for_lock(const struct store *store, int fd, unsigned wait_ms, struct error *err)
{
    struct timespec pause = {0, LOCK_POLL_MS * 1000000L};

    for (unsigned waited = 0;; waited += LOCK_POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set_errno(err, errno, "cannot lock the storage folder");
        if (waited >= wait_ms)
            return refuse_lock(store, fd, err);
        (void)nanosleep(&pause, NULL);
    }
}

/* Make all folders of sha256 with one sync, so that no push pays for them. What fails here is tried
 * again when a blob needs the folder. */
static void make_blob_folders(struct store *store)
{
    for (unsigned i = 0; i < 256; i++) {
        char name[3];
        uint8_t byte = (uint8_t)i;

        text_print_hex(&byte, 1, name);
        if (mkdirat(store->blobs_fds[0], name, LAYOUT_FOLDER_MODE) != 0 && errno != EEXIST)
            return;
    }
    if (fsync(store->blobs_fds[0]) != 0)
        return;
    for (unsigned i = 0; i < 256; i++)
        atomic_store(&store->is_folder_synced[0][i], 1);
}

int store_lock(struct store *store, unsigned wait_ms, struct error *err)
{
    AUTO_CLOSE int fd = openat(store->root_fd, LAYOUT_LOCK,
                               O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LAYOUT_FILE_MODE);

    if (fd < 0) {
        (void)error_set_errno(err, errno, "cannot open %.*s/" LAYOUT_LOCK, root_length(store),
                              store->ledger_folder);
        return layout_advise(err);
    }
    int rc = wait_for_lock(store, fd, wait_ms, err);
    if (rc != 0)
        return rc;
    char pid[16];
    int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    /* Over what stands there: a block that is given back may not be had again on a full disk. */
    rc = fd_pwrite_all(fd, pid, (size_t)length, 0, err);
    if (rc != 0)
        return rc;
    if (ftruncate(fd, length) != 0)
        return error_set_errno(err, errno, "cannot write the lock of the storage folder");
    store->lock_fd = fd_take(&fd);
    make_blob_folders(store);
    return 0;
}

/* ---- blobs/ ---- */

struct blob_path {
    int at;
    const char *parent;                   /* "blobs/sha256", for messages */
    char folder[3];                       /* "ab" */
    char name[3 + 2 * HASH_SIZE_MAX + 1]; /* "ab/ab12…" */
};

static void blob_path(const struct store *store, const struct digest *digest,
                      struct blob_path *path)
{
    bool is_sha512 = digest->algorithm == HASH_SHA512;

    path->at = store->blobs_fds[is_sha512];
    path->parent = is_sha512 ? LAYOUT_SHA512 : LAYOUT_SHA256;
    text_print_hex(digest->bytes, 1, path->folder);
    memcpy(path->name, path->folder, 2);
    path->name[2] = '/';
    text_print_hex(digest->bytes, hash_size(digest->algorithm), path->name + 3);
}

/* O_NOATIME, so that reading does not write; the kernel refuses it for files of another owner. */
static int open_for_reading(struct store *store, const struct blob_path *path)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

    if (!atomic_load_explicit(&store->may_not_noatime, memory_order_relaxed)) {
        int fd = openat(path->at, path->name, flags | O_NOATIME);

        if (fd >= 0 || errno != EPERM)
            return fd;
        atomic_store_explicit(&store->may_not_noatime, true, memory_order_relaxed);
    }
    return openat(path->at, path->name, flags);
}

static const char *kind_name(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a folder";
    if (S_ISLNK(mode))
        return "a symbolic link";
    if (S_ISFIFO(mode))
        return "a fifo";
    return S_ISSOCK(mode) ? "a socket" : "a device";
}

/* Is what was found under a blob's name a regular file of that size? */
static int check_status(const struct blob_path *path, const struct stat *status, uint64_t size,
                        struct error *err)
{
    if (!S_ISREG(status->st_mode)) {
        return error_set(err, ERR_CORRUPT, "%s/%s is %s, not a regular file", path->parent,
                         path->name, kind_name(status->st_mode));
    }
    if (size != UINT64_MAX && (uint64_t)status->st_size != size) {
        return error_set(err, ERR_CORRUPT, "%s/%s has %llu bytes instead of %llu", path->parent,
                         path->name, (unsigned long long)status->st_size, (unsigned long long)size);
    }
    return 0;
}

/* A name that cannot be opened. ERR_CORRUPT when that is because of what stands there, or of its
 * mode: the next writer of this blob repairs it. Any other reason says nothing about the file. */
static int refuse_open(const struct blob_path *path, int sys, struct error *err)
{
    struct stat status;

    if (sys == ENOTDIR)
        return error_set(err, ERR_CORRUPT, "%s/%s is not a folder", path->parent, path->folder);
    if (sys != ENOENT && fstatat(path->at, path->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        int rc = check_status(path, &status, UINT64_MAX, err);

        if (rc != 0)
            return rc;
        if (sys == EACCES) {
            return error_set(err, ERR_CORRUPT, "%s/%s may not be read by this user", path->parent,
                             path->name);
        }
    }
    return error_set_errno(err, sys, "cannot open %s/%s", path->parent, path->name);
}

static void describe(const struct stat *status, struct store_blob *out)
{
    if (!out)
        return;
    *out = (struct store_blob){
        .size = (uint64_t)status->st_size,
        .identity = {.inode = status->st_ino,
                     .modified_ns = (uint64_t)status->st_mtim.tv_sec * 1000000000u +
                                    (uint64_t)status->st_mtim.tv_nsec},
    };
}

int store_blob_open(struct store *store, const struct digest *digest, uint64_t size, int *out_fd,
                    struct store_blob *out, struct error *err)
{
    struct blob_path path;
    struct stat status;

    blob_path(store, digest, &path);
    AUTO_CLOSE int fd = open_for_reading(store, &path);
    if (fd < 0 && errno == ENOENT && layout_renew(store, path.at, path.parent, false))
        fd = open_for_reading(store, &path);
    if (fd < 0)
        return refuse_open(&path, errno, err);
    if (fstat(fd, &status) != 0)
        return error_set_errno(err, errno, "cannot stat %s/%s", path.parent, path.name);
    int rc = check_status(&path, &status, size, err);
    if (rc != 0)
        return rc;
    describe(&status, out);
    *out_fd = fd_take(&fd);
    return 0;
}

int store_blob_check(struct store *store, const struct digest *digest, uint64_t size,
                     struct store_blob *out, struct error *err)
{
    struct blob_path path;
    struct stat status;

    blob_path(store, digest, &path);
    int rc = fstatat(path.at, path.name, &status, AT_SYMLINK_NOFOLLOW);
    if (rc != 0 && errno == ENOENT && layout_renew(store, path.at, path.parent, false))
        rc = fstatat(path.at, path.name, &status, AT_SYMLINK_NOFOLLOW);
    if (rc != 0)
        return refuse_open(&path, errno, err);
    rc = check_status(&path, &status, size, err);
    if (rc == 0)
        describe(&status, out);
    return rc;
}

int store_blob_refuse(const struct store *store, const struct digest *digest, struct error *err)
{
    struct blob_path path;

    blob_path(store, digest, &path);
    return error_set(err, ERR_CORRUPT, "%s/%s does not have the bytes of its digest", path.parent,
                     path.name);
}

/* Each process syncs the name of a folder once: the process that made it may have died before. */
static int make_blob_folder(struct store *store, const struct digest *digest,
                            const struct blob_path *path, struct error *err)
{
    atomic_uchar *is_synced =
        &store->is_folder_synced[digest->algorithm == HASH_SHA512][digest->bytes[0]];

    if (atomic_load(is_synced) != 0)
        return 0;
    int number = mkdirat(path->at, path->folder, LAYOUT_FOLDER_MODE) != 0 ? errno : 0;
    if (number == ENOENT && layout_renew(store, path->at, path->parent, true)) {
        for (unsigned i = 0; i < 256; i++)
            atomic_store(&store->is_folder_synced[digest->algorithm == HASH_SHA512][i], 0);
        number = mkdirat(path->at, path->folder, LAYOUT_FOLDER_MODE) != 0 ? errno : 0;
    }
    if (number == ENOENT)
        return layout_folder_lost(path->parent, err);
    if (number != 0 && number != EEXIST)
        return error_set_errno(err, number, "cannot make folder %s/%s", path->parent, path->folder);
    int rc = layout_sync(path->at, LAYOUT_BLOBS, err);
    if (rc == 0)
        atomic_store(is_synced, 1);
    return rc;
}

/* Is it the same file, and of the same size? */
static bool is_file(int at, const char *name, const struct store_file *file)
{
    struct stat status;

    return fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           status.st_ino == file->inode && (uint64_t)status.st_size == file->size;
}

/* rename() does not replace a folder by a file. An empty folder is removed; any other is kept under
 * a name that is not a digest. */
static int move_folder_aside(const struct blob_path *path, const char *name, struct error *err)
{
    char aside[sizeof(path->name) + 32];
    uint32_t random = 0;

    if (unlinkat(path->at, name, AT_REMOVEDIR) == 0)
        return 0;
    int rc = random_bytes(&random, sizeof(random), err);
    if (rc != 0)
        return rc;
    (void)snprintf(aside, sizeof(aside), "%s.damaged-%08x", name, random);
    if (renameat(path->at, name, path->at, aside) != 0)
        return error_set_errno(err, errno, "cannot move %s/%s out of the way", path->parent, name);
    log_say(LOG_WARN, "%s/%s stood in the place of a blob; it was renamed to %s", path->parent,
            name, aside);
    return 0;
}

/* Remove what keeps a file from its final name; `sys` is the errno of rename(). */
static int make_way(struct store *store, const struct digest *digest, const struct blob_path *path,
                    int sys, struct error *err)
{
    int rc = 0;

    if (sys == EISDIR || sys == ENOTEMPTY || sys == EEXIST)
        return move_folder_aside(path, path->name, err);
    if (sys != ENOTDIR && sys != ENOENT)
        return error_set_errno(err, sys, "cannot place %s/%s", path->parent, path->name);
    /* The folder of the first two digits is missing, or is not a folder. */
    atomic_store(&store->is_folder_synced[digest->algorithm == HASH_SHA512][digest->bytes[0]], 0);
    if (sys == ENOTDIR && unlinkat(path->at, path->folder, 0) != 0) {
        rc = error_set_errno(err, errno, "cannot replace %s/%s with a folder", path->parent,
                             path->folder);
    }
    return rc != 0 ? rc : make_blob_folder(store, digest, path, err);
}

int store_place(struct store *store, const struct store_file *file, const struct digest *digest,
                struct error *err)
{
    struct blob_path path;

    blob_path(store, digest, &path);
    int rc = layout_check_name(file->name, err);
    if (rc == 0)
        rc = make_blob_folder(store, digest, &path, err);
    if (rc != 0)
        return rc;
    int from = layout_place(store, file->place);
    /* Its maker may have made the folder again. */
    (void)layout_renew(store, from, file->place == PLACE_SPOOL ? LAYOUT_SPOOL : LAYOUT_UPLOADS,
                       false);
    for (int attempt = 0; is_file(from, file->name, file); attempt++) {
        if (renameat(from, file->name, path.at, path.name) == 0)
            return 0;
        int sys = errno;
        if (attempt == PLACE_ATTEMPTS)
            return error_set_errno(err, sys, "cannot place %s/%s", path.parent, path.name);
        rc = make_way(store, digest, &path, sys, err);
        if (rc != 0)
            return rc;
    }
    if (is_file(path.at, path.name, file))
        return 0;
    return error_set(err, ERR_NOT_FOUND, "the file for %s/%s has vanished", path.parent, path.name);
}

int store_blob_remove(struct store *store, const struct digest *digest, struct error *err)
{
    struct blob_path path;

    blob_path(store, digest, &path);
    if (unlinkat(path.at, path.name, 0) != 0)
        return error_set_errno(err, errno, "cannot remove %s/%s", path.parent, path.name);
    return 0;
}

int store_sync_blob_folder(struct store *store, const struct digest *digest, struct error *err)
{
    struct blob_path path;

    blob_path(store, digest, &path);
    AUTO_CLOSE int fd = -1;
    int rc = layout_open_folder(path.at, path.folder, &fd, err);
    return rc != 0 ? rc : layout_sync(fd, path.folder, err);
}

/* ---- all blobs ---- */

static void tell_blob(int at, const char *name, struct digest *digest, store_blob_each_fn *each,
                      void *arg)
{
    struct stat status;
    size_t size = hash_size(digest->algorithm);

    if (strlen(name) != 2 * size || !text_read_hex(slice_of(name), digest->bytes, size) ||
        fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return;
    each(digest,
         (uint64_t)status.st_ctim.tv_sec * 1000 + (uint64_t)status.st_ctim.tv_nsec / 1000000, arg);
}

int store_blob_each(struct store *store, enum hash_algorithm algorithm, uint8_t byte,
                    store_blob_each_fn *each, void *arg, struct error *err)
{
    struct digest digest = {.algorithm = algorithm, .bytes = {byte}};
    struct blob_path path;

    blob_path(store, &digest, &path);
    int fd = openat(path.at, path.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        int sys = errno;

        fd_close(&fd);
        if (sys == ENOENT || sys == ENOTDIR)
            return 0;
        return error_set_errno(err, sys, "cannot read %s/%s", path.parent, path.folder);
    }
    /* No other thread uses the stream. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        tell_blob(fd, entry->d_name, &digest, each, arg);
    (void)closedir(folder);
    return 0;
}
