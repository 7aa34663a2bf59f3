/* SPDX-License-Identifier: Apache-2.0 */
/* How blobs and links are added up. */
#ifndef STORE_HELD_TABLE_H
#define STORE_HELD_TABLE_H

#include "store/ledger.h"

/* What a blob counts for, before and after a change. */
struct held_part {
    bool is_here;
    bool is_cached;
    uint64_t size;
};
struct held_part held_part_of(struct ledger_txn *txn, const struct digest *digest);
/* Adds what the blob counts for now to the sums, and takes away what it counted for before. */
void held_move(struct ledger_txn *txn, const struct digest *digest, const struct held_part *before);
void held_put(struct ledger_txn *txn, const struct held *held);
/* Is it one of the repositories that people push to? */
bool held_is_hosted(struct ledger_txn *txn, uint32_t repository);

#endif
