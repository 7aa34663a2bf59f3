/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies orders inside a transaction. An order is refused before it changes anything, so that it
 * cannot spoil the others of its transaction. Errors of the ledger stay in the transaction, which
 * then fails as a whole. Runs on a thread of the pool and does not touch the loop.
 */
#ifndef KEEPER_APPLY_H
#define KEEPER_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "store/journal.h"
#include "store/ledger.h"

struct config;
struct order;
struct store;

struct apply {
    struct ledger_txn *txn;
    const struct config *config;
    struct store *store;
    uint64_t now_ms; /* wall clock */
    /* What becomes unneeded goes at once, not after twice the grace, unless somebody else was
     * told that it is here. */
    bool is_at_once;
};

void apply_order(const struct apply *apply, struct order *order);

void apply_blob_stored(const struct apply *apply, struct order *order);
void apply_blob_suspected(const struct apply *apply, struct order *order);
void apply_link(const struct apply *apply, struct order *order);
void apply_used(const struct apply *apply, const struct order *order);
void apply_push_begun(const struct apply *apply, struct order *order);
void apply_manifest_put(const struct apply *apply, struct order *order);
void apply_manifest_stored(const struct apply *apply, struct order *order);
void apply_tag_checked(const struct apply *apply, struct order *order);
void apply_take_out(const struct apply *apply, struct order *order);
void apply_pin(const struct apply *apply, const struct order *order);
void apply_remove(const struct apply *apply, struct order *order);

/* Is the file of the blob here, and not known to be damaged? False fills *err. A file that cannot
 * be looked at now may be whole. */
bool apply_has_file(const struct apply *apply, const struct digest *digest,
                    const struct blob_record *record, struct error *err);
/* A line about such a file that a repository wants: the client is asked for its bytes. */
void apply_log_damage(struct slice repository, const struct digest *digest,
                      const struct error *err);

/* What changed, for the journal; fields that do not apply are empty. */
struct change {
    enum journal_kind kind;
    struct slice origin;
    struct slice repository;
    struct slice tag;
    const struct digest *digest; /* or NULL */
};
/* order: NULL when the keeper does it by itself. */
void apply_journal(const struct apply *apply, const struct order *order,
                   const struct change *change);

#endif
