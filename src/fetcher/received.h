/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest that came from an upstream. It is hashed and parsed in the pool; after it is answered
 * it is written, synced and handed to the keeper in the background.
 */
#ifndef FETCHER_RECEIVED_H
#define FETCHER_RECEIVED_H

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
    bool is_storing; /* the pool's work is to write, not to parse */
    bool is_busy;
    bool is_dropped;
    /* Set by the owner before received_read: */
    char *origin;
    char *repository;
    char *tag; /* NULL: by digest */
    char *content_type;
    struct buf body; /* a large one is freed when it is written */
    uint64_t checked_ms;
    bool is_public;
    /* Set by received_read and received_store: */
    struct digest digest;
    uint64_t size;
    int payload_fd; /* memory file of a large ANSWER; -1: none */
    struct manifest *manifest;
    struct error err;
    char name[STORE_NAME_SIZE];
    uint64_t inode;
    /* On the loop; err is NULL on success. */
    void (*done)(struct received *received, const struct error *err, void *arg);
    void *arg;
};

/* Takes the body over and leaves it empty; copies the type. */
struct received *received_new(struct fetcher *fetcher, struct buf *body, struct slice content_type);
/* Hash and parse; digest.algorithm is set before. `done` gets ERR_UPSTREAM for a bad manifest. */
void received_read(struct received *received,
                   void (*done)(struct received *, const struct error *, void *), void *arg);
/* Fill in the ANSWER of one that is read; its slices are borrowed. */
void received_answer(const struct received *received, struct message_answer *out);
/* Write, sync, send MANIFEST_STORED; `done` is called when the keeper has answered. */
void received_store(struct received *received,
                    void (*done)(struct received *, const struct error *, void *), void *arg);
/* Free it, when the pool has finished with it; `done` is not called any more. The keeper still does
 * what it was told. */
void received_drop(struct received **received);

#endif
