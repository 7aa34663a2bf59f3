/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: what changed, when and on whose behalf, under (commit number, place in the commit).
 * Written in the transaction that changes; read from a position on; trimmed by age.
 *
 * A reader that must not miss an entry registers its position, and trimming waits for it, within a
 * bound. Every reader is told when entries after its position are gone.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"

struct ledger_txn;

/* What changed; the number is on disk. */
enum journal_kind {
    JOURNAL_BLOB = 1,
    JOURNAL_LINK = 2,
    JOURNAL_MANIFEST = 3,
    JOURNAL_TAG = 4,
    JOURNAL_REMOVE_TAG = 5,
    JOURNAL_REMOVE_MANIFEST = 6,
    JOURNAL_REMOVE_BLOB = 7,
    JOURNAL_PUSH_BEGUN = 8,
};

/* All entries up to and including this one. */
struct journal_position {
    uint64_t number; /* of the commit */
    uint32_t place;  /* in the commit */
};

/* All entries of the commits up to `number`. */
static inline struct journal_position journal_after(uint64_t number)
{
    return (struct journal_position){number, UINT32_MAX};
}

/* One change. Slices of an entry that was read live until the transaction ends or writes. */
struct journal_entry {
    struct journal_position position; /* set by the journal */
    enum journal_kind kind;
    uint64_t when_ms;
    struct slice origin;
    struct slice repository;
    struct slice tag;
    struct digest digest;
    struct slice principal; /* who asked for it; empty fields are not known */
    struct slice address;
    struct slice request_id;
};

/* Under the transaction's number, after its other entries. Texts that are too long are cut. */
void journal_add(struct ledger_txn *txn, const struct journal_entry *entry);

/* ---- reading ---- */

/* How a slice of the journal ended. */
enum journal_progress {
    JOURNAL_END,     /* at the newest entry */
    JOURNAL_MORE,    /* at the limit, or `each` has stopped */
    JOURNAL_TRIMMED, /* nothing was read: entries after the position were deleted */
};

/* Whether all entries after the position are still there. */
bool journal_is_complete(struct ledger_txn *txn, const struct journal_position *position);
/* False stops after this entry. */
typedef bool journal_each_fn(const struct journal_entry *entry, void *arg);
/* At most `limit` entries after *position, which moves along. */
enum journal_progress journal_read(struct ledger_txn *txn, struct journal_position *position,
                                   unsigned limit, journal_each_fn *each, void *arg);

/* ---- registered readers ---- */

#define JOURNAL_READER_NAME_MAX 255

/* Registers the reader `name`, or moves it. Names are not empty. */
void journal_reader_put(struct ledger_txn *txn, struct slice name,
                        const struct journal_position *position);
/* False: there is no such reader. */
bool journal_reader_find(struct ledger_txn *txn, struct slice name, struct journal_position *out);
/* Was it registered? */
bool journal_reader_delete(struct ledger_txn *txn, struct slice name);

/* ---- trimming ---- */

/* How old entries may become, as times of the wall clock. */
struct journal_ages {
    uint64_t before_ms;      /* older entries are deleted once all registered readers have them */
    uint64_t held_before_ms; /* older ones are deleted for certain; not after before_ms */
};
/* Deletes old entries, at most `limit`; returns how many. */
unsigned journal_trim(struct ledger_txn *txn, const struct journal_ages *ages, unsigned limit);

#endif
