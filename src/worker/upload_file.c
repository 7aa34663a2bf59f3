/* SPDX-License-Identifier: Apache-2.0 */
/* A session's file. Everything between open (or create) and release is done under its lock. */
#include "upload_file.h"

#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/log.h"
#include "store/upload_lock.h"

#define WRITE_BACK_STEP ((size_t)8 * 1024 * 1024)

void upload_file_init(struct upload_file *file, struct store *store, struct upload_table *table,
                      const struct upload_id *id, struct slice repository)
{
    *file = (struct upload_file){.store = store, .table = table, .id = *id, .fd = -1};
    file->progress.repository_key = upload_repository_key(&repository);
    hash_init(&file->progress.hash, HASH_SHA256);
    store_upload_name(id, file->progress.repository_key, file->name);
}

/* ---- the slot ---- */

int upload_file_add_slot(struct upload_file *file, struct error *err)
{
    file->progress.used_ms = clock_wall().ms;
    if (file->is_unlisted)
        return 0;
    return upload_table_add(file->table, &file->id, &file->progress, err);
}

void upload_file_drop_slot(struct upload_file *file)
{
    upload_table_remove(file->table, &file->id);
}

/* Without a slot the session goes on: its file is hashed again. */
void upload_file_save(struct upload_file *file)
{
    struct error err;

    file->progress.used_ms = clock_wall().ms;
    if (file->is_unlisted)
        return;
    if (upload_table_set(file->table, &file->id, &file->progress, &err) != 0) {
        struct log_line line;

        log_begin(&line, LOG_WARN);
        log_text(&line, "file", file->name);
        log_end(&line, "cannot save the progress of an upload: %s", err.text);
    }
}

void upload_file_release(struct upload_file *file)
{
    upload_file_save(file);
    fd_close(&file->fd);
}

void upload_file_forget(struct upload_file *file)
{
    upload_table_remove(file->table, &file->id);
    fd_close(&file->fd);
}

/* ---- open ---- */

int upload_file_create(struct upload_file *file, struct error *err)
{
    struct error failed;
    int rc;

    do
        rc = store_file_create(file->store, PLACE_UPLOADS, file->name, &file->fd, &failed);
    while (rc == -ERR_NO_SPACE && upload_make_space(file->store, file->table));
    if (rc != 0) {
        *err = failed;
        return rc;
    }
    rc = upload_claim(file->store, file->name, file->fd, err);
    if (rc != 0) {
        store_file_remove(file->store, PLACE_UPLOADS, file->name, &failed);
        fd_close(&file->fd);
    }
    return rc;
}

static int hash_range(int fd, struct hash *hash, uint64_t from, uint64_t to, struct error *err)
{
    AUTO_FREE char *block = mem_alloc(UPLOAD_BLOCK_SIZE);

    while (from < to) {
        size_t length = to - from < UPLOAD_BLOCK_SIZE ? (size_t)(to - from) : UPLOAD_BLOCK_SIZE;
        int rc = fd_pread_all(fd, block, length, from, err);

        if (rc != 0)
            return rc;
        hash_update(hash, block, length);
        from += length;
    }
    return 0;
}

/* A file shorter than what was hashed of it has lost bytes: so the session is lost. */
static int catch_up(struct upload_file *file, struct error *err)
{
    struct upload_progress *progress = &file->progress;
    uint64_t size;
    int rc = fd_size(file->fd, &size, err);

    if (rc != 0)
        return rc;
    if (size < progress->offset)
        return error_set(err, ERR_NOT_FOUND, "the upload has lost data; begin it again");
    if (size > progress->offset)
        rc = hash_range(file->fd, &progress->hash, progress->offset, size, err);
    if (rc == 0) {
        progress->offset = size;
        progress->unhashed = 0;
    }
    file->written_back = size;
    return rc;
}

/* The slot is read under the lock: the last holder may have gone further than it said before. */
static int open_locked(struct upload_file *file, struct error *err)
{
    struct upload_progress saved;
    int rc = store_file_open(file->store, PLACE_UPLOADS, file->name, &file->fd, err);

    if (rc == 0)
        rc = upload_claim(file->store, file->name, file->fd, err);
    if (rc != 0)
        return rc;
    if (upload_table_get(file->table, &file->id, &saved))
        file->progress = saved;
    return catch_up(file, err);
}

int upload_file_open(struct upload_file *file, struct error *err)
{
    int rc = open_locked(file, err);

    if (rc != 0)
        fd_close(&file->fd);
    return rc;
}

int upload_file_measure(struct upload_file *file, struct error *err)
{
    AUTO_CLOSE int fd = -1;
    int rc = store_file_open(file->store, PLACE_UPLOADS, file->name, &fd, err);

    return rc != 0 ? rc : fd_size(fd, &file->progress.offset, err);
}

/* ---- write ---- */

static int write_piece(const struct upload_file *file, const void *data, size_t length,
                       struct error *err)
{
    if (FAILPOINT("upload.write"))
        return error_set(err, ERR_NO_SPACE, "cannot write an upload (failpoint)");
    return fd_pwrite_all(file->fd, data, length, file->progress.offset, err);
}

int upload_file_append(struct upload_file *file, const void *data, size_t length, struct error *err)
{
    struct upload_progress *progress = &file->progress;
    struct error failed;
    int rc;

    do
        rc = write_piece(file, data, length, &failed);
    while (rc == -ERR_NO_SPACE && upload_make_space(file->store, file->table));
    if (rc != 0) {
        *err = failed;
        return rc;
    }
    hash_update(&progress->hash, data, length);
    progress->offset += length;
    if (progress->offset - file->written_back >= WRITE_BACK_STEP) {
        /* Starts writing and waits for nothing, so that the sync at the end is short. */
        (void)sync_file_range(file->fd, (off_t)file->written_back,
                              (off_t)(progress->offset - file->written_back),
                              SYNC_FILE_RANGE_WRITE);
        file->written_back = progress->offset;
    }
    return 0;
}

/* ---- the end ---- */

/* Uploads are hashed with SHA-256 as they come; any other digest needs the file read again. */
static int compare_digest(struct upload_file *file, const struct digest *expected,
                          struct error *err)
{
    struct hash hash = file->progress.hash;
    struct digest real;
    char text[DIGEST_TEXT_SIZE];

    if (expected->algorithm != HASH_SHA256) {
        hash_init(&hash, expected->algorithm);
        int rc = hash_range(file->fd, &hash, 0, file->progress.offset, err);

        if (rc != 0)
            return rc;
    }
    digest_from_hash(&hash, &real);
    if (digest_equal(&real, expected))
        return 0;
    return error_set(err, ERR_DIGEST_MISMATCH, "the digest of the uploaded bytes is %s",
                     digest_print(&real, text));
}

int upload_file_finish(struct upload_file *file, const struct digest *digest, struct error *err)
{
    char whole_name[STORE_NAME_SIZE];
    int rc = compare_digest(file, digest, err);

    if (rc == 0)
        rc = store_file_sync(file->store, PLACE_UPLOADS, file->fd, false, err);
    if (rc == 0)
        rc = store_file_inode(file->fd, &file->inode, err);
    if (rc == 0)
        rc = store_temporary_name(whole_name, err);
    /* From now on the slot has no file: its time says since when (store/upload_lock.h). */
    if (rc == 0) {
        upload_file_save(file);
        rc = store_file_rename(file->store, PLACE_UPLOADS, file->name, whole_name, err);
    }
    if (rc == 0)
        memcpy(file->whole_name, whole_name, sizeof(whole_name));
    return rc;
}

int upload_file_restore(struct upload_file *file, struct error *err)
{
    int rc = store_file_rename(file->store, PLACE_UPLOADS, file->whole_name, file->name, err);

    if (rc == 0)
        file->whole_name[0] = '\0';
    return rc;
}

/* A finished file that stays is no session: its name is found by no request, and the keeper's
 * janitor removes it. The last close of a removed file frees its pages, which takes longer the
 * larger it is. */
int upload_file_remove(struct upload_file *file, struct error *err)
{
    bool is_finished = file->whole_name[0] != '\0';
    const char *name = is_finished ? file->whole_name : file->name;
    int rc = upload_end(file->store, file->table, &file->id, name, err);

    if (rc != 0 && is_finished)
        upload_file_drop_slot(file);
    fd_close(&file->fd);
    return rc;
}
