/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: digest → properties and, if the manifest is small, its bytes. */
#include "base/buf.h"
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

#define MANIFEST_VALUE_MAX ((size_t)4 * 1024 * 1024)

static void make_manifest_key(struct record *key, const struct digest *digest)
{
    record_init(key);
    record_add_digest(key, digest);
}

bool manifest_find(struct ledger_txn *txn, const struct digest *digest, struct manifest_record *out)
{
    struct record key;

    make_manifest_key(&key, digest);
    struct slice value;
    if (!ledger_get(txn, TABLE_MANIFEST, record_bytes(&key), &value))
        return false;
    struct record_reader reader;
    record_read_value(&reader, value);
    out->size = record_u64(&reader);
    record_digest(&reader, &out->subject);
    out->media_type = record_text(&reader);
    out->artifact_type = record_text(&reader);
    out->references = record_part(&reader, record_u32(&reader));
    out->bytes = record_part(&reader, record_u32(&reader));
    out->is_typed = record_u8(&reader) != 0;
    if (reader.is_bad)
        ledger_set_corrupt(txn, "manifest");
    return !reader.is_bad;
}

bool manifest_find_in(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                      struct manifest_record *out)
{
    struct slice own;

    if ((link_find_typed(txn, repository, digest, &own) & LINK_MANIFEST) == 0 ||
        !manifest_find(txn, digest, out))
        return false;
    if (own.length > 0)
        out->media_type = own;
    return true;
}

static void append_part(struct buf *value, struct slice part)
{
    struct record length;

    record_init(&length);
    record_add_u32(&length, (uint32_t)part.length);
    buf_append_slice(value, record_bytes(&length));
    buf_append_slice(value, part);
}

void manifest_put(struct ledger_txn *txn, const struct digest *digest,
                  const struct manifest_record *record)
{
    struct record key;

    make_manifest_key(&key, digest);
    struct record fields;
    record_init_value(&fields);
    record_add_u64(&fields, record->size);
    record_add_digest(&fields, &record->subject);
    record_add_text(&fields, record->media_type);
    record_add_text(&fields, record->artifact_type);
    AUTO_BUF struct buf value;
    buf_init(&value, MANIFEST_VALUE_MAX);
    buf_append_slice(&value, record_bytes(&fields));
    append_part(&value, record->references);
    append_part(&value, ledger_inline(record->bytes));
    buf_append_byte(&value, record->is_typed ? 1 : 0);
    if (fields.is_over || value.is_over)
        ledger_set_too_long(txn);
    ledger_put(txn, TABLE_MANIFEST, record_bytes(&key), buf_bytes(&value));
}

bool manifest_delete(struct ledger_txn *txn, const struct digest *digest)
{
    struct record key;

    make_manifest_key(&key, digest);
    return ledger_delete(txn, TABLE_MANIFEST, record_bytes(&key));
}
