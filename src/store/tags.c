/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags, in two tables that are written together:
 *
 *   tag     id, tag          → digest, and the times it was set and checked
 *   tagged  digest, id, tag  →         the same from the other side
 */
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"
#include "tag_table.h"

static void make_tag_key(struct record *key, uint32_t repository, struct slice tag)
{
    record_init(key);
    record_add_u32(key, repository);
    record_add_bytes(key, tag);
    key->is_over = key->is_over || key->length > LEDGER_KEY_MAX;
}

static void make_tagged_key(struct record *key, const struct digest *digest, uint32_t repository,
                            struct slice tag)
{
    record_init(key);
    record_add_digest(key, digest);
    record_add_u32(key, repository);
    record_add_bytes(key, tag);
    key->is_over = key->is_over || key->length > LEDGER_KEY_MAX;
}

bool tag_decode(struct slice value, struct tag *out)
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
    if (tag_decode(value, out))
        return true;
    ledger_set_corrupt(txn, "tag");
    return false;
}

void tagged_put(struct ledger_txn *txn, uint32_t repository, struct slice tag,
                const struct digest *digest)
{
    struct record key;
    struct record value;

    make_tagged_key(&key, digest, repository, tag);
    if (key.is_over)
        ledger_set_too_long(txn);
    record_init_value(&value);
    ledger_put(txn, TABLE_TAGGED, record_bytes(&key), record_bytes(&value));
}

/* The tag names `digest` now; NULL: it is gone. */
static void move_tagged(struct ledger_txn *txn, uint32_t repository, struct slice tag,
                        const struct digest *digest)
{
    struct tag old;
    struct record key;
    bool was_there = tag_find(txn, repository, tag, &old);

    if (was_there && digest && digest_equal(&old.digest, digest))
        return;
    if (was_there) {
        make_tagged_key(&key, &old.digest, repository, tag);
        (void)ledger_delete(txn, TABLE_TAGGED, record_bytes(&key));
    }
    if (digest)
        tagged_put(txn, repository, tag, digest);
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
    move_tagged(txn, repository, tag, &record->digest);
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
    if (key.is_over)
        return false;
    move_tagged(txn, repository, tag, NULL);
    return ledger_delete(txn, TABLE_TAG, record_bytes(&key));
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

    if (!tag_decode(value, &tag)) {
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

struct named_tags {
    size_t skip; /* length of what is before the tag */
    tag_named_fn *each;
    void *arg;
};

static bool on_tagged_key(struct slice key, struct slice value, void *arg)
{
    const struct named_tags *walk = arg;

    (void)value;
    return walk->each(slice_skip(key, walk->skip), walk->arg);
}

void tag_each_of(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                 tag_named_fn *each, void *arg)
{
    struct record prefix;

    make_tagged_key(&prefix, digest, repository, slice_from(NULL, 0));
    struct named_tags walk = {prefix.length, each, arg};
    ledger_walk(txn, TABLE_TAGGED, record_bytes(&prefix), slice_from(NULL, 0), on_tagged_key,
                &walk);
}
