/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes the files of orders outside the batches, so that no order waits for the file of another.
 * Four files at a time: of what is pushed, and of stored files that are suspected, a large one and
 * a small one each. A stored file that several orders suspect is read once.
 */
#ifndef KEEPER_VERIFIER_H
#define KEEPER_VERIFIER_H

#include <stdbool.h>

struct ledger;
struct order;
struct pool;
struct store;
struct verifier;

struct verifier_options { /* borrowed */
    struct pool *pool;
    struct store *store;
    struct ledger *ledger;
    /* On the loop, once for each order, which is the callee's again. Its trust is ORDER_TRUSTED or
     * ORDER_FAILED. */
    void (*on_done)(struct order *order, void *arg);
    void *arg;
};

struct verifier *verifier_new(const struct verifier_options *options);
/* Must not be called while it runs. */
void verifier_free(struct verifier **verifier);
/* A BLOB_STORED that has a file, or a BLOB_SUSPECTED; it is in no list. */
void verifier_start(struct verifier *verifier, struct order *order);
/* What runs fails soon. */
void verifier_stop(struct verifier *verifier);
bool verifier_is_running(const struct verifier *verifier);

#endif
