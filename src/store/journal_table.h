/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the journal share: keys, positions and how far it was trimmed. */
#ifndef STORE_JOURNAL_TABLE_H
#define STORE_JOURNAL_TABLE_H

#include <stdbool.h>

#include "records.h"
#include "store/journal.h"

void journal_make_key(struct record *key, const struct journal_position *position);
struct journal_position journal_read_position(struct record_reader *reader);
bool journal_is_before(const struct journal_position *a, const struct journal_position *b);
/* False: the record is not what we write; the position is set all the same. */
bool journal_decode(struct slice key, struct slice value, struct journal_entry *out);
/* The newest entry that was deleted; number 0: none. */
struct journal_position journal_trimmed(struct ledger_txn *txn);
/* The position of the slowest registered reader; without any, beyond all entries. */
struct journal_position journal_read_by_all(struct ledger_txn *txn);

#endif
