/* SPDX-License-Identifier: Apache-2.0 */
/* Tags: (repository id, tag) → digest, and the times it was set and checked. */
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

static void make_tag_key(struct record *key, uint32_t repository, struct slice tag)
{
    record_init(key);
    record_add_u32(key, repository);
    record_add_bytes(key, tag);
    key->is_over = key->is_over || key->length > LEDGER_KEY_MAX;
}

static bool decode_tag(struct slice value, struct tag *out)
{
    struct record_reader reader;

    record_read_value(&reader, value);
    record_digest(&reader, &out->digest);
    out->changed_ms = record_u64(&reader);
    out->checked_ms = record_u64(&reader);
    return !reader.is_bad;
}

bool tag_find(struct ledger_txn *txn, uint32_t repository, struct slice tag, struct tag *out)
{
    struct record key;

    make_tag_key(&key, repository, tag);
    struct slice value;
    if (key.is_over || !ledger_get(txn, TABLE_TAG, record_bytes(&key), &value))
        return false;
    if (decode_tag(value, out))
        return true;
    ledger_set_corrupt(txn, "tag");
    return false;
}

void tag_put(struct ledger_txn *txn, uint32_t repository, struct slice tag,
             const struct tag *record)
{
    struct record key;

    make_tag_key(&key, repository, tag);
    if (key.is_over) {
        ledger_set_too_long(txn);
        return;
    }
    struct record value;
    record_init_value(&value);
    record_add_digest(&value, &record->digest);
    record_add_u64(&value, record->changed_ms);
    record_add_u64(&value, record->checked_ms);
    ledger_put(txn, TABLE_TAG, record_bytes(&key), record_bytes(&value));
}

bool tag_delete(struct ledger_txn *txn, uint32_t repository, struct slice tag)
{
    struct record key;

    make_tag_key(&key, repository, tag);
    return !key.is_over && ledger_delete(txn, TABLE_TAG, record_bytes(&key));
}

struct tags {
    struct ledger_txn *txn;
    tag_each_fn *each;
    void *arg;
};

static bool on_tag_key(struct slice key, struct slice value, void *arg)
{
    const struct tags *tags = arg;
    struct tag tag;

    if (!decode_tag(value, &tag)) {
        ledger_set_corrupt(tags->txn, "tag");
        return false;
    }
    return tags->each(slice_skip(key, sizeof(uint32_t)), &tag, tags->arg);
}

void tag_each(struct ledger_txn *txn, uint32_t repository, struct slice last, tag_each_fn *each,
              void *arg)
{
    struct record prefix;

    make_tag_key(&prefix, repository, slice_from(NULL, 0));
    /* No key is longer than the cut one, so none lies between the cut one and the full one. */
    struct record after = prefix;
    record_add_start(&after, last, LEDGER_KEY_MAX);
    struct tags tags = {txn, each, arg};
    ledger_walk(txn, TABLE_TAG, record_bytes(&prefix),
                last.length > 0 ? record_bytes(&after) : slice_from(NULL, 0), on_tag_key, &tags);
}
