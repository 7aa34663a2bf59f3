/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request's hold on one upload session: its file, its lock, its hash, and the jobs on them. The
 * jobs run in order, one at a time; `running` is theirs while any is under way, `progress` is the
 * loop's. It outlives its request until the last job and the keeper's answer are there.
 *
 *   (open | create) → receive … → close → BLOB_STORED → over
 */
#ifndef WORKER_UPLOAD_SESSION_H
#define WORKER_UPLOAD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "keep_link.h"
#include "oci/name.h"
#include "request.h"
#include "store/store.h"
#include "store/upload_table.h"
#include "worker_state.h"

#define UPLOAD_BLOCK_SIZE ((size_t)256 * 1024)
#define UPLOAD_BLOCKS     2

struct upload;

struct upload_block {
    struct worker_job job;
    struct upload *upload;
    char *data;
    size_t capacity;
    size_t length;
    bool is_busy; /* being filled, or with the pool */
    bool is_last; /* of a PUT: the digest is compared and the file synced behind it */
    struct upload_progress after;
    bool is_lost;     /* the session, by that error */
    struct error err; /* kind ERR_NONE: went well */
};

struct upload {
    struct worker *worker;
    struct request *request; /* NULL: over */
    struct upload_id id;
    char name[STORE_NAME_SIZE];           /* of the file */
    char final_name[STORE_NAME_SIZE];     /* the same when it is whole: no request finds it */
    char repository[NAME_MAX_LENGTH + 1]; /* hosted */
    uint64_t key;                         /* the pool's */
    int fd;                               /* locked */
    struct upload_progress progress;      /* after the last job that is done */
    struct upload_progress running;       /* the jobs' */
    uint64_t synced;                      /* the jobs': so far was asked to be written back */
    uint64_t inode;                       /* after the close */

    struct worker_job job;               /* open, create, remove */
    struct error err;                    /* how it ended */
    struct error refusal;                /* the keeper's */
    void (*then)(struct upload *upload); /* what follows it */

    struct upload_block blocks[UPLOAD_BLOCKS];
    unsigned jobs; /* under way */
    bool is_opening;
    bool is_left; /* POST with the whole blob: file and slot are there, whose id nobody knows */
    bool is_reading;
    bool is_end;      /* the whole body is here */
    bool is_broken;   /* a job failed: the others do nothing (the jobs' own) */
    bool is_answered; /* what still comes is not wanted */
    struct upload_block *filling;
    uint64_t base;     /* offset before this body */
    uint64_t received; /* of this body */
    bool has_digest;
    struct digest digest;
    struct keep_ask ask;
};

/* The request's step from now on. */
struct upload *upload_new(struct request *request, const struct upload_id *id);
/* Nothing is under way any more: the lock is given back. */
void upload_free(struct upload *upload);
/* Free it when neither a request nor a job needs it. */
void upload_let_go(struct upload *upload);

/* Each runs in the pool, then calls `then` (also when the request is gone). upload->err says how it
 * went. */
void upload_create(struct upload *upload, void (*then)(struct upload *upload));
/* Opens and locks the file; what the saved hash has not seen is hashed. */
void upload_open(struct upload *upload, void (*then)(struct upload *upload));
/* Make room: end an idle session, of this repository or of any. ERR_BUSY: there is none. */
void upload_evict(struct upload *upload, bool is_any, void (*then)(struct upload *upload));
/* How long the file is, without the lock: another request may be writing to it. */
void upload_look(struct upload *upload, void (*then)(struct upload *upload));
/* File and slot go. */
void upload_remove(struct upload *upload, void (*then)(struct upload *upload));
/* A whole file that was not taken is the session's again. */
void upload_restore(struct upload *upload, void (*then)(struct upload *upload));

/* In the pool: compare the digest, sync, take the name away. An error: the session is lost, for a
 * sync that failed may not be repeated. */
int upload_close_file(struct upload *upload, struct error *err);
void upload_save(struct upload *upload);

#endif
