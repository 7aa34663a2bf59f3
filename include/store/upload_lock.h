/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock of an upload session: an OFD write lock on its file under uploads/. Its holder alone
 * writes to the file and to the session's slot (store/upload_table.h). Closing the descriptor
 * releases the lock. Nothing here waits for a lock.
 */
#ifndef STORE_UPLOAD_LOCK_H
#define STORE_UPLOAD_LOCK_H

struct error;
struct store;

/* Lock an open file. ERR_BUSY: another request holds the lock. */
int upload_lock(int fd, struct error *err);
/* Lock the open file `name` of a session. ERR_NOT_FOUND: the session ended before the lock was
 * taken, so that the name is no longer this file's. */
int upload_claim(struct store *store, const char *name, int fd, struct error *err);

#endif
