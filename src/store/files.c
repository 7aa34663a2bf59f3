/* SPDX-License-Identifier: Apache-2.0 */
/* The files under uploads/ and spool/, which are not blobs yet, and the names of these files. See
 * store/store.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/random.h"
#include "base/text.h"
#include "layout.h"

int layout_check_name(const char *name, struct error *err)
{
    size_t length = strlen(name);

    if (length == 0 || length >= STORE_NAME_SIZE || name[0] == '.' || strchr(name, '/'))
        return error_set(err, ERR_INVALID, "invalid file name");
    return 0;
}

static const char *folder_name(enum store_place place)
{
    return place == PLACE_SPOOL ? LAYOUT_SPOOL : LAYOUT_UPLOADS;
}

int store_file_create(struct store *store, enum store_place place, const char *name, int *out_fd,
                      struct error *err)
{
    int rc = layout_check_name(name, err);

    if (rc != 0)
        return rc;
    if (FAILPOINT("store.create"))
        return error_set(err, ERR_IO, "cannot make a file (failpoint)");
    const char *folder = folder_name(place);
    int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int at = layout_place(store, place);
    int fd = openat(at, name, flags, LAYOUT_FILE_MODE);
    if (fd < 0 && errno == ENOENT && layout_renew(store, at, folder, true))
        fd = openat(at, name, flags, LAYOUT_FILE_MODE);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, ERR_CONFLICT, "file %s exists already", name);
    if (fd < 0 && errno == ENOENT)
        return layout_folder_lost(folder, err);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make file %s", name);
    *out_fd = fd;
    return 0;
}

int store_file_open(struct store *store, enum store_place place, const char *name, int *out_fd,
                    struct error *err)
{
    int rc = layout_check_name(name, err);

    if (rc != 0)
        return rc;
    if (FAILPOINT("store.open"))
        return error_set(err, ERR_IO, "cannot open a file (failpoint)");
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int at = layout_place(store, place);
    int fd = openat(at, name, flags);
    if (fd < 0 && errno == ENOENT && layout_renew(store, at, folder_name(place), false))
        fd = openat(at, name, flags);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open file %s", name);
    *out_fd = fd;
    return 0;
}

int store_file_reopen_readonly(int fd, int *out_fd, struct error *err)
{
    char path[32];

    if (FAILPOINT("store.reopen"))
        return error_set(err, ERR_IO, "cannot reopen a file (failpoint)");
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0)
        return error_set_errno(err, errno, "cannot reopen a file for reading");
    *out_fd = again;
    return 0;
}

int store_file_remove(struct store *store, enum store_place place, const char *name,
                      struct error *err)
{
    int rc = layout_check_name(name, err);

    if (rc != 0)
        return rc;
    if (FAILPOINT("store.remove"))
        return error_set(err, ERR_IO, "cannot remove a file (failpoint)");
    if (unlinkat(layout_place(store, place), name, 0) != 0)
        return error_set_errno(err, errno, "cannot remove file %s", name);
    return 0;
}

int store_file_sync(struct store *store, enum store_place place, int fd, bool is_new,
                    struct error *err)
{
    if (FAILPOINT("store.sync"))
        return error_set(err, ERR_IO, "cannot sync a file (failpoint)");
    if (fdatasync(fd) != 0)
        return error_set_errno(err, errno, "cannot sync a file");
    return is_new ? layout_sync(layout_place(store, place), "a folder of unfinished files", err)
                  : 0;
}

int store_file_rename(struct store *store, enum store_place place, const char *from, const char *to,
                      struct error *err)
{
    int at = layout_place(store, place);
    int rc = layout_check_name(from, err);

    if (rc == 0)
        rc = layout_check_name(to, err);
    if (rc == 0 && FAILPOINT("store.rename"))
        rc = error_set(err, ERR_IO, "cannot rename a file (failpoint)");
    if (rc == 0 && renameat(at, from, at, to) != 0)
        rc = error_set_errno(err, errno, "cannot rename file %s", from);
    return rc;
}

int store_file_check(struct store *store, enum store_place place, const char *name, int fd,
                     struct error *err)
{
    struct stat named;
    struct stat opened;
    int rc = layout_check_name(name, err);

    if (rc != 0)
        return rc;
    if (fstat(fd, &opened) != 0 ||
        fstatat(layout_place(store, place), name, &named, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_errno(err, errno, "cannot stat file %s", name);
    if (named.st_ino != opened.st_ino)
        return error_set(err, ERR_NOT_FOUND, "file %s was replaced", name);
    return 0;
}

int store_file_inode(int fd, uint64_t *out_inode, struct error *err)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return error_set_errno(err, errno, "cannot stat a file");
    *out_inode = status.st_ino;
    return 0;
}

static void tell_file(int at, const char *name, store_each_fn *each, void *arg)
{
    struct stat status;

    if (name[0] == '.' || strlen(name) >= STORE_NAME_SIZE ||
        fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return;
    uint64_t modified =
        (uint64_t)status.st_mtim.tv_sec * 1000 + (uint64_t)status.st_mtim.tv_nsec / 1000000;
    each(name, (uint64_t)status.st_size, modified, arg);
}

int store_file_each(struct store *store, enum store_place place, store_each_fn *each, void *arg,
                    struct error *err)
{
    int at = layout_place(store, place);

    (void)layout_renew(store, at, folder_name(place), false);
    int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder) {
        int sys = errno;

        fd_close(&fd);
        return error_set_errno(err, sys, "cannot read a folder");
    }
    errno = 0;
    /* No other thread uses the stream. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        tell_file(at, entry->d_name, each, arg);
        errno = 0;
    }
    int sys = errno;
    (void)closedir(folder);
    return sys == 0 ? 0 : error_set_errno(err, sys, "cannot read a folder");
}

/* ---- names ---- */

void store_upload_name(const struct upload_id *id, uint64_t repository_key,
                       char out[STORE_NAME_SIZE])
{
    char text[UPLOAD_ID_TEXT_SIZE];

    (void)snprintf(out, STORE_NAME_SIZE, "%s-%016" PRIx64, upload_id_print(id, text),
                   repository_key);
}

bool store_upload_parse(const char *name, struct upload_id *out_id, uint64_t *out_repository_key)
{
    struct slice text = slice_of(name);
    struct upload_id id;
    uint8_t key[sizeof(uint64_t)];
    size_t id_length = UPLOAD_ID_TEXT_SIZE - 1;

    if (text.length != id_length + 1 + 2 * sizeof(key) || name[id_length] != '-' ||
        !upload_id_parse(slice_from(name, id_length), &id) ||
        !text_read_hex(slice_from(name + id_length + 1, 2 * sizeof(key)), key, sizeof(key)))
        return false;
    *out_id = id;
    *out_repository_key = 0;
    for (size_t i = 0; i < sizeof(key); i++)
        *out_repository_key = *out_repository_key << 8 | key[i];
    return true;
}

void store_spool_name(const struct digest *digest, unsigned take, char out[STORE_NAME_SIZE])
{
    char hex[2 * HASH_SIZE_MAX + 1];

    text_print_hex(digest->bytes, hash_size(digest->algorithm), hex);
    (void)snprintf(out, STORE_NAME_SIZE, "%s-%s.%u", digest_algorithm_name(digest->algorithm), hex,
                   take);
}

bool store_spool_parse(const char *name, struct digest *out_digest, unsigned *out_take)
{
    struct slice rest = slice_of(name);
    struct slice algorithm;
    struct slice hex;
    struct digest digest;

    memset(&digest, 0, sizeof(digest));
    if (!slice_split(&rest, '-', &algorithm) ||
        !digest_algorithm_parse(algorithm, &digest.algorithm) || !slice_split(&rest, '.', &hex))
        return false;
    uint64_t take;
    struct error ignored;
    if (!text_read_hex(hex, digest.bytes, hash_size(digest.algorithm)) ||
        text_parse_u64(rest, &take, &ignored) != 0 || take > UINT32_MAX)
        return false;
    *out_digest = digest;
    *out_take = (unsigned)take;
    return true;
}

int store_temporary_name(char out[STORE_NAME_SIZE], struct error *err)
{
    uint8_t random[16];
    int rc = random_bytes(random, sizeof(random), err);

    if (rc != 0)
        return rc;
    out[0] = 't';
    out[1] = '-';
    text_print_hex(random, sizeof(random), out + 2);
    return 0;
}

bool store_name_is_temporary(const char *name)
{
    return name[0] == 't' && name[1] == '-';
}
