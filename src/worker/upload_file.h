/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of an upload session with its lock, its hash and its slot: what one request holds while
 * it works on the session. Functions that say "in the pool" block; a session's run one after the
 * other. The loop reads `progress` only while none of them runs.
 *
 * The rule of store/upload_lock.h: file and slot are written under the lock only. Before the file
 * exists, the slot belongs to the request that made it.
 */
#ifndef WORKER_UPLOAD_FILE_H
#define WORKER_UPLOAD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"
#include "store/store.h"
#include "store/upload_table.h"

struct error;

#define UPLOAD_BLOCK_SIZE ((size_t)256 * 1024)

struct upload_file {
    struct store *store;        /* borrowed */
    struct upload_table *table; /* borrowed */
    struct upload_id id;
    char name[STORE_NAME_SIZE];       /* by which requests find the file */
    char whole_name[STORE_NAME_SIZE]; /* its name since upload_file_finish; "": not finished */
    bool is_unlisted;                 /* without a slot: one request makes it and ends it */
    int fd;                           /* locked; -1: closed */
    struct upload_progress progress;
    uint64_t written_back; /* so many bytes the kernel was asked to write to the disk */
    uint64_t inode;        /* set by upload_file_finish */
};

/* No file yet, and nothing to clean up before one is created or opened. */
void upload_file_init(struct upload_file *file, struct store *store, struct upload_table *table,
                      const struct upload_id *id, struct slice repository);

/* A slot for a session that has no file yet; none for an unlisted one. ERR_BUSY: the table is full.
 */
int upload_file_add_slot(struct upload_file *file, struct error *err);
/* Give up the slot of a session that has no file. */
void upload_file_drop_slot(struct upload_file *file);

/* In the pool: create the file and lock it. While the disk is full, this and upload_file_append end
 * sessions that nobody is using, one after the other, before they fail with ERR_NO_SPACE. */
int upload_file_create(struct upload_file *file, struct error *err);
/* In the pool: open the file, lock it, and hash what the hash in the slot has not seen. ERR_BUSY:
 * another request holds the lock. ERR_NOT_FOUND: there is no such session. */
int upload_file_open(struct upload_file *file, struct error *err);
/* In the pool: the size of the file as progress.offset, without the lock: another request may be
 * writing. */
int upload_file_measure(struct upload_file *file, struct error *err);
/* In the pool: write and hash. */
int upload_file_append(struct upload_file *file, const void *data, size_t length,
                       struct error *err);
/* In the pool: compare the digest, sync, and take the name away, so that no other request can
 * write to the file. On an error the session must be removed: a sync that failed may not be
 * repeated. ERR_DIGEST_MISMATCH. */
int upload_file_finish(struct upload_file *file, const struct digest *digest, struct error *err);
/* In the pool: give a finished file its name back. On an error the session does not exist any
 * more; ERR_NOT_FOUND: the keeper has placed the file. */
int upload_file_restore(struct upload_file *file, struct error *err);
/* In the pool: remove file and slot, and close. On an error the session stays, if the file was not
 * finished. */
int upload_file_remove(struct upload_file *file, struct error *err);

/* Save the progress in the slot, so that the next request need not hash what this one has. */
void upload_file_save(struct upload_file *file);
/* Save the progress and release the lock. */
void upload_file_release(struct upload_file *file);
/* Drop the slot and close: the file is the keeper's, or it is lost. */
void upload_file_forget(struct upload_file *file);

#endif
