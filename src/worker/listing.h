/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of names from the ledger, as long as the data without n=. It is read and printed in the
 * pool, with a ledger reader of its own, so that the loop does not stand still for it. Its memory
 * (32 MiB at most) is counted in limits.answer_memory once it is complete. Long lists are made one
 * at a time, so that at most one of them is not counted yet.
 *
 *   waiting → in the pool → answered
 *      └──────────┴───────→ forgotten     (the client left)
 */
#ifndef WORKER_LISTING_H
#define WORKER_LISTING_H

#include <stddef.h>

struct buf;
struct jsonio_writer;
struct ledger_txn;
struct listing_queue;
struct page;
struct request;
struct serve_age;

struct listing_kind {
    /* Opens the object and the array of names. */
    void (*print_head)(const struct request *request, struct jsonio_writer *json);
    /* The path that a Link names, without its query. */
    void (*print_path)(const struct request *request, struct buf *out);
    /* Called in the pool: page_add each name. Only what is not the connection's may be read of the
     * request (see request_ref). */
    void (*read)(const struct request *request, struct ledger_txn *txn, struct page *page);
    size_t name_max; /* bytes of a name */
};

struct listing_queue *listing_queue_new(void);
/* All requests were ended, and all work in the pool is done. */
void listing_queue_free(struct listing_queue **queue);

/* Answers the request with the list, later. `kind` is borrowed for ever; `age` may be NULL: it is
 * marked as stale otherwise, and copied. */
void listing_begin(struct request *request, const struct listing_kind *kind,
                   const struct serve_age *age);

#endif
