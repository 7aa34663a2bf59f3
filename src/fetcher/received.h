/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest that came from an upstream: hashed and read in the pool, then written, synced and told
 * to the keeper, in the background.
 */
#ifndef RECEIVED_H
#define RECEIVED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/pool.h"
#include "oci/digest.h"
#include "store/store.h"

struct fetcher;
struct manifest;
struct message_answer;
struct received;

struct received {
    struct fetcher *fetcher;
    struct pool_work work;
    bool is_storing; /* the second work */
    bool is_busy;
    bool is_dropped;
    /* Given: */
    char *origin;
    char *repository;
    char *tag; /* NULL: by digest */
    char *content_type;
    struct buf body; /* a large one goes when it is written */
    uint64_t checked_ms;
    bool is_public;
    /* Found: */
    struct digest digest;
    uint64_t size;
    int payload_fd; /* the ANSWER, when it is large; -1 */
    struct manifest *manifest;
    struct error err;
    char name[STORE_NAME_SIZE];
    uint64_t inode;
    /* err is NULL when all went well. */
    void (*done)(struct received *received, const struct error *err, void *arg);
    void *arg;
};

/* Takes the body over and leaves it empty; copies the type. */
struct received *received_new(struct fetcher *fetcher, struct buf *body, struct slice content_type);
/* Hash and parse; the digest's algorithm is set before. ERR_UPSTREAM. */
void received_read(struct received *received,
                   void (*done)(struct received *, const struct error *, void *), void *arg);
/* The ANSWER, once it is read; borrowed. */
void received_answer(const struct received *received, struct message_answer *out);
/* Write, sync, MANIFEST_STORED; `done` when the keeper has answered. */
void received_store(struct received *received,
                    void (*done)(struct received *, const struct error *, void *), void *arg);
/* Frees it, once the pool is done with it. `done` does not come any more; what the keeper was told
 * stays told. */
void received_drop(struct received **received);

#endif
