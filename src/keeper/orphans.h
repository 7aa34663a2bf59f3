/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files under blobs/ that perhaps no record of the ledger names: those of refused orders, and those
 * whose record was removed. They are collected while transactions run, and judged once, after the
 * last commit: of two orders with the same bytes, one may be refused and the other accepted.
 *
 * On a thread of the pool. Nothing else may place files or write the ledger between the last commit
 * and the end of orphans_remove.
 */
#ifndef KEEPER_ORPHANS_H
#define KEEPER_ORPHANS_H

#include <stddef.h>

#include "base/buf.h"

struct digest;
struct ledger_reader;
struct store;

struct orphans {
    struct buf digests; /* in binary */
};

/* Room for `max` digests; the files of more are left alone. */
void orphans_init(struct orphans *orphans, size_t max);
void orphans_cleanup(struct orphans *orphans);
void orphans_add(struct orphans *orphans, const struct digest *digest);
/* Asks the ledger about each in one read transaction, removes the files that no record names, and
 * clears the list. If the ledger cannot be read, all files stay. */
void orphans_remove(struct orphans *orphans, struct ledger_reader *reader, struct store *store);

#endif
