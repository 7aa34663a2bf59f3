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

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct digest;
struct ledger_reader;
struct store;

#define ORPHANS_FOLDERS 512u /* two algorithms, one byte of the digest */

struct orphans {
    struct buf digests;               /* in binary */
    struct buf open;                  /* descriptors of large files that have lost their name */
    bool is_touched[ORPHANS_FOLDERS]; /* files were removed from this folder of blobs/ */
    bool has_touched;
};

/* Room for `max` digests; the files of more are left alone. */
void orphans_init(struct orphans *orphans, size_t max);
void orphans_cleanup(struct orphans *orphans);
void orphans_add(struct orphans *orphans, const struct digest *digest);
/* Asks the ledger about each in one read transaction, removes the files that no record names, and
 * clears the list. If the ledger cannot be read, all files stay. Large files only lose their name:
 * what they take is free after orphans_close. Returns how many files were removed. */
size_t orphans_remove(struct orphans *orphans, struct ledger_reader *reader, struct store *store);
/* Moves the list to an empty one, as far as it has room. */
void orphans_move(struct orphans *from, struct orphans *to);
/* Clears the list: its files stay. */
void orphans_forget(struct orphans *orphans);
/* These two may take long, and may run beside everything else. */
void orphans_close(struct orphans *orphans);
/* Syncs the folders from which files were removed. A removal that a power cut undoes leaves a file
 * that no record names; see sweeper.h. */
void orphans_sync(struct orphans *orphans, struct store *store);

#endif
