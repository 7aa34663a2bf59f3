/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders of ROOT and the files in them (docs/storage.md). No other code knows paths. All calls
 * are synchronous and thread-safe; roles make those that block from their pool. Names come from
 * digests and ids in binary, never from outside text.
 *
 * Only the keeper calls what changes names under blobs/ (store_place). A file under its final name
 * is whole, matches its digest, and was synced before.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/digest.h"
#include "oci/upload_id.h"
#include "store/file_hash.h"

struct error;
struct store;

/* Where a file lies before the keeper takes it into blobs/. */
enum store_place {
    PLACE_UPLOADS = 1,
    PLACE_SPOOL = 2,
};

#define STORE_NAME_SIZE 192 /* a file's name under uploads/ or spool/, with NUL */

/* Make what is missing (master, before it drops privilege), write `layout`. ERR_UNSUPPORTED: a
 * layout newer than we know, a network file system, folders on several file systems; ERR_CONFLICT:
 * a folder with somebody else's files, nothing was changed; ERR_CORRUPT: `layout` is not ours, or
 * there are blobs without a ledger; ERR_IO. */
int store_prepare(const char *root, struct error *err);
/* Would store_prepare succeed? Changes nothing. The same errors. */
int store_examine(const char *root, struct error *err);
/* Give what this program has made in the folder and belongs to root, and then the folder itself, to
 * the user that the server will run as: what store_prepare has just made, and what a run as root
 * has left (main, while it is root). Nothing else changes hands. `name` is the user's, for errors.
 * ERR_IO. */
int store_give(const char *root, uid_t uid, gid_t gid, const char *name, struct error *err);
/* Would that be refused, because the folder is another user's? ERR_DENIED. */
int store_may_give(const char *root, uid_t uid, gid_t gid, const char *name, struct error *err);
int store_open(const char *root, struct store **out, struct error *err);
void store_close(struct store **store);
const char *store_ledger_folder(const struct store *store);
/* The keeper's lock on ROOT: waits at most wait_ms. ERR_BUSY names the other's pid. Held until
 * store_close. Makes the folders below blobs/sha256. */
int store_lock(struct store *store, unsigned wait_ms, struct error *err);

/* ---- blobs ---- */
/* A blob's file, as it was found. */
struct store_blob {
    uint64_t size;
    struct file_identity identity;
};
/* Open for reading; never blocks, whatever stands there. `out` may be NULL. ERR_NOT_FOUND: there
 * is nothing; ERR_CORRUPT: it is not a regular file that may be read, or not of `size` bytes
 * (UINT64_MAX: any). Both are repaired by placing the blob again. The text names the path under
 * ROOT. Its bytes are not looked at: see file_hash. */
int store_blob_open(struct store *store, const struct digest *digest, uint64_t size, int *out_fd,
                    struct store_blob *out, struct error *err);
/* The same without opening it: one look at the name. */
int store_blob_check(struct store *store, const struct digest *digest, uint64_t size,
                     struct store_blob *out, struct error *err);
/* ERR_CORRUPT, for a file whose bytes were found to be others; the text names its path. */
int store_blob_refuse(const struct store *store, const struct digest *digest, struct error *err);
/* A whole, synced file that is to become a blob. */
struct store_file {
    enum store_place place;
    const char *name;
    uint64_t inode; /* with size: it is still the one that was synced */
    uint64_t size;
};
/* Rename it over the final name; a folder that stands there is moved aside. Source gone and the
 * target is this file: done already. ERR_NOT_FOUND when both are not so. The caller syncs the
 * folder next: store_sync_blob_folder. */
int store_place(struct store *store, const struct store_file *file, const struct digest *digest,
                struct error *err);
/* Remove the file of a blob that no record names. */
int store_blob_remove(struct store *store, const struct digest *digest, struct error *err);
/* Calls `each` for every file of a folder of blobs/ whose name is a digest that begins with
 * `byte`, with the time at which its inode changed last: it was placed then, or later. A folder
 * that is not there has none. */
typedef void store_blob_each_fn(const struct digest *digest, uint64_t changed_ms, void *arg);
int store_blob_each(struct store *store, enum hash_algorithm algorithm, uint8_t byte,
                    store_blob_each_fn *each, void *arg, struct error *err);
int store_sync_blob_folder(struct store *store, const struct digest *digest, struct error *err);

/* ---- uploads/ and spool/: append-only files, never preallocated ---- */
/* ERR_CONFLICT if it is there, ERR_NO_SPACE. */
int store_file_create(struct store *store, enum store_place place, const char *name, int *out_fd,
                      struct error *err);
/* Read and write. ERR_NOT_FOUND. */
int store_file_open(struct store *store, enum store_place place, const char *name, int *out_fd,
                    struct error *err);
/* A second, read-only description of an open file (for passing on). */
int store_file_reopen_readonly(int fd, int *out_fd, struct error *err);
int store_file_remove(struct store *store, enum store_place place, const char *name,
                      struct error *err);
/* fdatasync of the file, and of its folder if `is_new`. A failed sync is never repeated: the file
 * is lost. */
int store_file_sync(struct store *store, enum store_place place, int fd, bool is_new,
                    struct error *err);
/* Under another name of the same place. ERR_NOT_FOUND. */
int store_file_rename(struct store *store, enum store_place place, const char *from, const char *to,
                      struct error *err);
/* ERR_NOT_FOUND when the name is not this open file's any more: it was removed, or placed as a
 * blob. */
int store_file_check(struct store *store, enum store_place place, const char *name, int fd,
                     struct error *err);
int store_file_inode(int fd, uint64_t *out_inode, struct error *err);
/* Calls `each` for every regular file of the folder. */
typedef void store_each_fn(const char *name, uint64_t size, uint64_t modified_ms, void *arg);
int store_file_each(struct store *store, enum store_place place, store_each_fn *each, void *arg,
                    struct error *err);

/* ---- names ---- */
/* The repository is part of a session's name: under another the session is not found. */
void store_upload_name(const struct upload_id *id, uint64_t repository_key,
                       char out[STORE_NAME_SIZE]);
bool store_upload_parse(const char *name, struct upload_id *out_id, uint64_t *out_repository_key);
void store_spool_name(const struct digest *digest, unsigned take, char out[STORE_NAME_SIZE]);
bool store_spool_parse(const char *name, struct digest *out_digest, unsigned *out_take);
/* A fresh name for a file that is neither a session's nor a spool, such as a manifest's. */
int store_temporary_name(char out[STORE_NAME_SIZE], struct error *err);
bool store_name_is_temporary(const char *name);
/* Such a file is removed when it is this old: no request waits so long for the keeper. */
#define STORE_TEMPORARY_KEPT_MS (3600ull * 1000)

/* Bytes free and in all on the file system. */
int store_space(struct store *store, uint64_t *out_free, uint64_t *out_total, struct error *err);
/* ERR_NO_SPACE: there is no room for a push, and the text says of what: bytes or inodes. */
int store_check_room(struct store *store, struct error *err);

#endif
