/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One order to the keeper, from its message to its answer. It owns the bytes that its message
 * points into. Applying it sets its outcome; if it is applied several times, only the last one
 * counts.
 */
#ifndef KEEPER_ORDER_H
#define KEEPER_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/slice.h"
#include "ipc/message.h"
#include "store/store.h"

struct peer_line;

#define ORDER_MISSING_MAX 100 /* digests in the answer about a manifest with missing blobs */

union order_message {
    struct message_blob_stored blob_stored;
    struct message_link link;
    struct message_push_begun push_begun;
    struct message_manifest_put manifest_put;
    struct message_manifest_stored manifest_stored;
    struct message_tag_checked tag_checked;
    struct message_remove remove;
    struct message_used used;
    struct message_reader reader;
    struct message_barrier barrier;
    struct message_blob_suspected blob_suspected;
    struct message_take_out take_out;
    struct message_pin pin;
    struct message_collect collect;
};

/* How far what an order says about its file is believed. */
enum order_trust {
    ORDER_TRUSTED,   /* the fetcher says it, or the keeper has looked */
    ORDER_UNCHECKED, /* a worker says it */
    ORDER_KNOWN,  /* the same of a digest that is here: the file must be hashed, then the order is
                     applied in a later batch (verifier.h) */
    ORDER_FAILED, /* it is not so, or could not be found out; file_error says why */
};

struct order {
    struct list link;       /* in the queue or the batch */
    struct peer_line *line; /* that sent it; NULL: it wants no answer */
    enum message_type type;
    char *body; /* what the slices of `message` point into */
    union order_message message;
    struct message_head *head; /* in `message`; NULL: it has none */

    /* Its file, if it has one. */
    bool has_file;
    struct store_file file;
    char file_name[STORE_NAME_SIZE]; /* file.name */
    struct digest digest;
    struct order *next_in_folder;
    struct error file_error; /* kind NONE: placed and synced */
    enum order_trust trust;
    struct file_identity placed;

    /* BLOB_SUSPECTED: what the keeper found. Inode 0: nothing that is not in the record. */
    struct file_identity compared;
    bool is_wrong;

    struct error refusal; /* kind NONE: done */
    struct buf missing;   /* digests in binary */
    uint64_t number;      /* of the commit */
};

/* Copies the body. A message that is malformed, or asks for something impossible, gives an order
 * that is refused already (order_is_bad), and so does one that its sender may not send: a
 * worker speaks of files under uploads/ and of hosted repositories alone. What it says about its
 * file is ORDER_UNCHECKED. */
struct order *order_new(enum message_type type, struct slice body, enum process_role sender);
void order_free(struct order *order);
bool order_is_bad(const struct order *order);
/* What it says about its file is not so. */
bool order_is_lie(const struct order *order);
/* Forgets the outcome, so that the order can be applied again. */
void order_reset(struct order *order);
void order_refuse(struct order *order, enum error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The request number for its answer. */
uint64_t order_id(const struct order *order);
bool order_is_repeated(const struct order *order);

#endif
