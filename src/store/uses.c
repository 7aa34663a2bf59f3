/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something was used last, in two tables that are written together:
 *
 *   use     digest        → time   of everything
 *   recent  time, digest  →        of the manifests in cached repositories
 */
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

static void make_recent_key(struct record *key, uint64_t when_ms, const struct digest *digest)
{
    record_init(key);
    record_add_u64(key, when_ms);
    record_add_digest(key, digest);
}

static void put_recent(struct ledger_txn *txn, uint64_t when_ms, const struct digest *digest)
{
    struct record key;
    struct record value;

    make_recent_key(&key, when_ms, digest);
    record_init_value(&value);
    ledger_put(txn, TABLE_RECENT, record_bytes(&key), record_bytes(&value));
}

static bool delete_recent(struct ledger_txn *txn, uint64_t when_ms, const struct digest *digest)
{
    struct record key;

    make_recent_key(&key, when_ms, digest);
    return ledger_delete(txn, TABLE_RECENT, record_bytes(&key));
}

static void put_use(struct ledger_txn *txn, const struct digest *digest, uint64_t when_ms)
{
    struct record key;

    record_init(&key);
    record_add_digest(&key, digest);
    struct record value;
    record_init_value(&value);
    record_add_u64(&value, when_ms);
    ledger_put(txn, TABLE_USE, record_bytes(&key), record_bytes(&value));
}

uint64_t use_find(struct ledger_txn *txn, const struct digest *digest)
{
    struct record key;

    record_init(&key);
    record_add_digest(&key, digest);
    struct slice value;
    if (!ledger_get(txn, TABLE_USE, record_bytes(&key), &value))
        return 0;
    struct record_reader reader;
    record_read_value(&reader, value);
    uint64_t when = record_u64(&reader);
    if (reader.is_bad)
        ledger_set_corrupt(txn, "use");
    return reader.is_bad ? 0 : when;
}

void use_put(struct ledger_txn *txn, const struct digest *digest, uint64_t when_ms)
{
    if (delete_recent(txn, use_find(txn, digest), digest))
        put_recent(txn, when_ms, digest);
    put_use(txn, digest, when_ms);
}

void recent_enter(struct ledger_txn *txn, const struct digest *digest, uint64_t when_ms)
{
    (void)delete_recent(txn, use_find(txn, digest), digest);
    put_recent(txn, when_ms, digest);
    put_use(txn, digest, when_ms);
}

void recent_drop(struct ledger_txn *txn, const struct recent *entry)
{
    (void)delete_recent(txn, entry->when_ms, &entry->digest);
}

struct recent_walk {
    struct ledger_txn *txn;
    struct recent *out;
    size_t count;
    size_t max;
};

static bool on_recent_key(struct slice key, struct slice value, void *arg)
{
    struct recent_walk *walk = arg;
    struct record_reader reader;

    (void)value;
    if (walk->count == walk->max)
        return false;
    record_read(&reader, key);
    walk->out[walk->count].when_ms = record_u64(&reader);
    record_digest(&reader, &walk->out[walk->count].digest);
    if (reader.is_bad)
        ledger_set_corrupt(walk->txn, "recent");
    else
        walk->count++;
    return !reader.is_bad;
}

size_t recent_first(struct ledger_txn *txn, const struct recent *after, struct recent *out,
                    size_t max)
{
    struct recent_walk walk = {txn, out, 0, max};
    struct record start;

    record_init(&start);
    if (after)
        make_recent_key(&start, after->when_ms, &after->digest);
    ledger_walk(txn, TABLE_RECENT, slice_from(NULL, 0), record_bytes(&start), on_recent_key, &walk);
    return ledger_error(txn) ? 0 : walk.count;
}
