/* SPDX-License-Identifier: Apache-2.0 */
/* The folders of ROOT by name, and the descriptors an open store holds of them. */
#ifndef STORE_LAYOUT_H
#define STORE_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/store.h"

#define LAYOUT_VERSION     1
#define LAYOUT_FOLDER_MODE 0750
#define LAYOUT_FILE_MODE   0640

#define LAYOUT_FILE     "layout"
#define LAYOUT_LOCK     "lock"
#define LAYOUT_LEDGER   "ledger"
#define LAYOUT_DATABASE "ledger/data.mdb"
#define LAYOUT_BLOBS    "blobs"
#define LAYOUT_SHA256   "blobs/sha256"
#define LAYOUT_SHA512   "blobs/sha512"
#define LAYOUT_SPOOL    "spool"
#define LAYOUT_UPLOADS  "uploads"

struct store {
    char *ledger_folder;
    int root_fd;
    int blobs_fds[2]; /* sha256, sha512 */
    int spool_fd;
    int uploads_fd;
    int lock_fd; /* -1: not locked */
    atomic_bool may_not_noatime;
    /* Folders under blobs/ALGORITHM whose name this process has synced. */
    atomic_uchar is_folder_synced[2][256];
};

/* Names come in messages: nothing that leaves the folder. ERR_INVALID. */
int layout_check_name(const char *name, struct error *err);
/* The descriptor of uploads/ or spool/. */
int layout_place(const struct store *store, enum store_place place);
int layout_open_folder(int at, const char *name, int *out_fd, struct error *err);
int layout_sync(int fd, const char *what, struct error *err);
/* A folder of ours that was removed while the store is open (`fd` is of no use any more): opens the
 * one that has its name now, for all threads at once, and makes it first with `may_make`. False:
 * it was not removed, or there is none. */
bool layout_renew(const struct store *store, int fd, const char *folder, bool may_make);
/* It could not be renewed: logs it and returns -ERR_IO. It is no ERR_NOT_FOUND, which says that a
 * blob or an upload does not exist. */
int layout_folder_lost(const char *folder, struct error *err);
/* Puts behind an error of the kernel about ROOT what to do; returns -err->kind. */
int layout_advise(struct error *err);

#endif
