/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock of an upload session: an OFD write lock on its file under uploads/. Its holder alone
 * writes to the file and to the session's slot (store/upload_table.h). Closing the descriptor
 * releases the lock. Nothing here waits for a lock.
 */
#ifndef STORE_UPLOAD_LOCK_H
#define STORE_UPLOAD_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct store;
struct upload_choice;
struct upload_id;
struct upload_progress;
struct upload_table;

/* A session's slot has no file while its request asks the keeper, for a minute at most, and makes
 * the file or gives it back its name. After so many ms the request must have died with its worker.
 */
#define UPLOAD_FILELESS_MS (3ull * 60 * 1000)

/* Lock an open file. ERR_BUSY: another request holds the lock. */
int upload_lock(int fd, struct error *err);
/* Lock the open file `name` of a session. ERR_NOT_FOUND: the session ended before the lock was
 * taken, so that the name is no longer this file's. */
int upload_claim(struct store *store, const char *name, int fd, struct error *err);

/* The lock's holder ends the session: removes the file `name`, then the slot. If the file cannot be
 * removed, the session stays as it was; a file that is gone already is no error. */
int upload_end(struct store *store, struct upload_table *table, const struct upload_id *id,
               const char *name, struct error *err);
/* The slot was left without a file by a worker that died: nobody writes it, and it may be removed.
 * now_ms: wall clock. */
bool upload_is_left(struct store *store, const struct upload_id *id,
                    const struct upload_progress *progress, uint64_t now_ms);
/* End one of the chosen sessions, the one used longest ago first. Sessions in use are left alone; a
 * slot that a dead worker left is freed. ERR_BUSY: there was none to end. */
int upload_end_idlest(struct store *store, struct upload_table *table,
                      const struct upload_choice *choice, struct error *err);
/* The disk is full: end the session that holds bytes and was used longest ago. It may have been
 * used a moment ago, and it is not in use. False: there is none. */
bool upload_make_space(struct store *store, struct upload_table *table);

#endif
