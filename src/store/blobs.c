/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: digest → the size and state of a file under blobs/. */
#include "due_table.h"
#include "held_table.h"
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

#define FLAG_PUBLIC  1u
#define FLAG_DAMAGED 2u

static void make_blob_key(struct record *key, const struct digest *digest)
{
    record_init(key);
    record_add_digest(key, digest);
}

static bool decode_blob(struct ledger_txn *txn, struct slice value, struct blob_record *out)
{
    struct record_reader reader;

    record_read_value(&reader, value);
    out->size = record_u64(&reader);
    out->where = (enum blob_where)record_u8(&reader);
    uint8_t flags = record_u8(&reader);
    out->is_public = (flags & FLAG_PUBLIC) != 0;
    out->is_damaged = (flags & FLAG_DAMAGED) != 0;
    out->kept_since_ms = record_u64(&reader);
    out->stored_ms = record_u64(&reader);
    out->file.inode = record_u64(&reader);
    out->file.modified_ns = record_u64(&reader);
    if (reader.is_bad)
        ledger_set_corrupt(txn, "blob");
    return !reader.is_bad;
}

bool blob_find(struct ledger_txn *txn, const struct digest *digest, struct blob_record *out)
{
    struct record key;
    struct slice value;

    make_blob_key(&key, digest);
    return ledger_get(txn, TABLE_BLOB, record_bytes(&key), &value) && decode_blob(txn, value, out);
}

static void enter(struct ledger_txn *txn, const struct digest *digest, uint64_t before_ms,
                  uint64_t since_ms)
{
    struct due due = {.kind = DUE_BLOB, .digest = *digest};

    due_move(txn, &due, before_ms, since_ms);
}

void blob_put(struct ledger_txn *txn, const struct digest *digest, const struct blob_record *record)
{
    struct blob_record old;
    bool was_here = blob_find(txn, digest, &old);
    bool is_resized = !was_here || old.size != record->size;
    struct held_part before = {.is_here = false};
    struct record key;

    if (was_here && is_resized)
        before = held_part_of(txn, digest);

    enter(txn, digest, was_here ? old.kept_since_ms : 0, record->kept_since_ms);
    make_blob_key(&key, digest);
    struct record value;
    record_init_value(&value);
    record_add_u64(&value, record->size);
    record_add_u8(&value, (uint8_t)record->where);
    unsigned flags = record->is_public ? FLAG_PUBLIC : 0;
    if (record->is_damaged)
        flags |= FLAG_DAMAGED;
    record_add_u8(&value, (uint8_t)flags);
    record_add_u64(&value, record->kept_since_ms);
    record_add_u64(&value, record->stored_ms);
    record_add_u64(&value, record->file.inode);
    record_add_u64(&value, record->file.modified_ns);
    ledger_put(txn, TABLE_BLOB, record_bytes(&key), record_bytes(&value));
    if (is_resized)
        held_move(txn, digest, &before);
}

void blob_delete(struct ledger_txn *txn, const struct digest *digest)
{
    struct blob_record old;
    struct record key;

    if (!blob_find(txn, digest, &old))
        return;
    struct held_part before = held_part_of(txn, digest);
    struct recent entry = {use_find(txn, digest), *digest};
    enter(txn, digest, old.kept_since_ms, 0);
    make_blob_key(&key, digest);
    (void)ledger_delete(txn, TABLE_BLOB, record_bytes(&key));
    held_move(txn, digest, &before);
    recent_drop(txn, &entry);
    (void)ledger_delete(txn, TABLE_USE, record_bytes(&key));
}

struct blobs {
    struct ledger_txn *txn;
    blob_each_fn *each;
    void *arg;
};

static bool on_blob_key(struct slice key, struct slice value, void *arg)
{
    const struct blobs *walk = arg;
    struct record_reader reader;
    struct digest digest;
    struct blob_record blob;

    record_read(&reader, key);
    record_digest(&reader, &digest);
    if (reader.is_bad)
        ledger_set_corrupt(walk->txn, "blob");
    return !reader.is_bad && decode_blob(walk->txn, value, &blob) &&
           walk->each(&digest, &blob, walk->arg);
}

void blob_each(struct ledger_txn *txn, const struct digest *after, blob_each_fn *each, void *arg)
{
    struct record start;
    struct blobs walk = {txn, each, arg};

    if (after)
        make_blob_key(&start, after);
    ledger_walk(txn, TABLE_BLOB, slice_from(NULL, 0),
                after ? record_bytes(&start) : slice_from(NULL, 0), on_blob_key, &walk);
}

enum blob_trust blob_trust(const struct blob_record *record, const struct file_identity *found)
{
    if (record->file.inode == 0)
        return BLOB_TRUSTED;
    if (!file_identity_equal(&record->file, found))
        return BLOB_CHANGED;
    return record->is_damaged ? BLOB_DAMAGED : BLOB_TRUSTED;
}
