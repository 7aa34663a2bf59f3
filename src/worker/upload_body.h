/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of an upload on its way from the connection to the file: two blocks of memory, of which
 * one is filled by the connection while the other is hashed and written in the pool.
 *
 *   upload_body_read → (the connection fills a block) → upload_body_filled
 *   → upload_body_pass_on → (the pool writes it) → on_block → upload_body_read …
 *   → upload_body_write_rest, in the owner's last job
 *
 * The last block is not passed on: the owner's job that ends the session writes it, so that the end
 * takes one job. All jobs have the owner's key and run in the order of their submission.
 */
#ifndef WORKER_UPLOAD_BODY_H
#define WORKER_UPLOAD_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "worker_state.h"

struct request;
struct upload_body;
struct upload_file;

#define UPLOAD_BLOCKS 2

struct upload_block {
    struct worker_job job;
    struct upload_body *body;
    char *data;
    size_t capacity;
    size_t length;
    bool is_busy; /* being filled, filled, or with the pool */
    struct error err;
};

/* On the loop, after each block that was passed on; ERR_NONE: it is written. */
typedef void upload_block_fn(struct upload_body *body, const struct error *err);

struct upload_body { /* embedded in its owner */
    struct worker *worker;
    struct upload_file *file;
    uint64_t key; /* of the owner's jobs */
    upload_block_fn *on_block;
    struct upload_block blocks[UPLOAD_BLOCKS];
    struct upload_block *filling; /* with the connection */
    struct upload_block *filled;  /* by it, and not passed on yet */
    uint64_t received;            /* bytes */
    struct error err;             /* the pool's: of the first block that could not be written */
};

void upload_body_init(struct upload_body *body, struct worker *worker, struct upload_file *file,
                      upload_block_fn *on_block);
/* Release the memory; not while the connection or the pool has a block. */
void upload_body_cleanup(struct upload_body *body);

/* Let the connection fill a block, unless it is filling one already or none is free. */
void upload_body_read(struct upload_body *body, struct request *request);
/* The connection has put `length` bytes into the block it was given. */
void upload_body_filled(struct upload_body *body, size_t length);
/* Give the filled block to the pool. */
void upload_body_pass_on(struct upload_body *body);
/* In the pool, after all blocks that were passed on: write the filled block, if there is one. The
 * error is that of the first block that could not be written. */
int upload_body_write_rest(struct upload_body *body, struct error *err);

#endif
