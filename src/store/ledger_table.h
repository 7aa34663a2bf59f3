/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of the ledger for the typed tables: bytes under keys. Slices that are returned live
 * until the transaction ends or writes. After the first error of a transaction, every call finds
 * nothing and does nothing.
 */
#ifndef STORE_LEDGER_TABLE_H
#define STORE_LEDGER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct ledger;
struct ledger_txn;

enum ledger_table {
    TABLE_META,
    TABLE_REPOSITORY,
    TABLE_REPOSITORY_NAME,
    TABLE_TAG,
    TABLE_MANIFEST,
    TABLE_BLOB,
    TABLE_LINK,
    TABLE_LINKED,
    TABLE_REFERRED,
    TABLE_REFERRER,
    TABLE_USE,
    TABLE_JOURNAL,
    TABLE_READER,
    TABLE_TAGGED,
    TABLE_DUE,
    TABLE_RECENT,
    TABLE_PIN,
    LEDGER_TABLES, /* count */
};

#define LEDGER_KEY_MAX 511 /* LMDB's, as Debian builds it */

/* ledger_open with the initial size of the map, for tests. */
int ledger_open_sized(const char *folder, bool is_writer, size_t map_size, struct ledger **out,
                      struct error *err);
size_t ledger_map_size(const struct ledger *ledger);

bool ledger_get(struct ledger_txn *txn, enum ledger_table table, struct slice key,
                struct slice *out_value);
void ledger_put(struct ledger_txn *txn, enum ledger_table table, struct slice key,
                struct slice value);
/* Whether the key was there. */
bool ledger_delete(struct ledger_txn *txn, enum ledger_table table, struct slice key);

/* Keys that begin with `prefix`, in order; only those greater than `after` if that is not empty.
 * False from `each` stops; `each` may not write. */
typedef bool ledger_each_fn(struct slice key, struct slice value, void *arg);
void ledger_walk(struct ledger_txn *txn, enum ledger_table table, struct slice prefix,
                 struct slice after, ledger_each_fn *each, void *arg);
/* The first key with this prefix. */
bool ledger_first(struct ledger_txn *txn, enum ledger_table table, struct slice prefix,
                  struct slice *out_key, struct slice *out_value);

/* The transaction fails: a record is malformed. */
void ledger_set_corrupt(struct ledger_txn *txn, const char *what);
void ledger_set_too_long(struct ledger_txn *txn);
/* The place within this transaction's journal entries. */
uint32_t ledger_next_entry(struct ledger_txn *txn);

#endif
