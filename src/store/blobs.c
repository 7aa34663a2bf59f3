/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: digest → the size and state of a file under blobs/. */
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

bool blob_find(struct ledger_txn *txn, const struct digest *digest, struct blob_record *out)
{
    struct record key;

    make_blob_key(&key, digest);
    struct slice value;
    if (!ledger_get(txn, TABLE_BLOB, record_bytes(&key), &value))
        return false;
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

void blob_put(struct ledger_txn *txn, const struct digest *digest, const struct blob_record *record)
{
    struct record key;

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
}

enum blob_trust blob_trust(const struct blob_record *record, const struct file_identity *found)
{
    if (record->file.inode == 0)
        return BLOB_TRUSTED;
    if (!file_identity_equal(&record->file, found))
        return BLOB_CHANGED;
    return record->is_damaged ? BLOB_DAMAGED : BLOB_TRUSTED;
}
