/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: (commit number, place in the commit) → what changed, when, by whom. Written in the
 * transaction that changes; read by what must know what changed since a number; trimmed by age.
 */
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

#define ACTOR_MAX 512

void journal_add(struct ledger_txn *txn, const struct journal_entry *entry)
{
    struct record key;
    record_init(&key);
    record_add_u64(&key, ledger_next_number(txn));
    record_add_u32(&key, ledger_next_entry(txn));
    struct slice actor = entry->actor;
    if (actor.length > ACTOR_MAX)
        actor.length = ACTOR_MAX;
    struct record value;
    record_init_value(&value);
    record_add_u8(&value, (uint8_t)entry->kind);
    record_add_u64(&value, entry->when_ms);
    record_add_digest(&value, &entry->digest);
    record_add_text(&value, entry->origin);
    record_add_text(&value, entry->repository);
    record_add_text(&value, entry->tag);
    record_add_text(&value, actor);
    if (value.is_over)
        ledger_set_too_long(txn);
    ledger_put(txn, TABLE_JOURNAL, record_bytes(&key), record_bytes(&value));
}

static bool decode(struct slice key, struct slice value, struct journal_entry *out)
{
    struct record_reader reader;
    record_read(&reader, key);
    out->number = record_u64(&reader);
    record_read_value(&reader, value);
    out->kind = (enum journal_kind)record_u8(&reader);
    out->when_ms = record_u64(&reader);
    record_digest(&reader, &out->digest);
    out->origin = record_text(&reader);
    out->repository = record_text(&reader);
    out->tag = record_text(&reader);
    out->actor = record_text(&reader);
    return !reader.is_bad;
}

struct entries {
    struct ledger_txn *txn;
    journal_each_fn *each;
    void *arg;
};

static bool on_entry(struct slice key, struct slice value, void *arg)
{
    const struct entries *entries = arg;
    struct journal_entry entry;
    if (!decode(key, value, &entry)) {
        ledger_set_corrupt(entries->txn, "journal");
        return false;
    }
    return entries->each(&entry, entries->arg);
}

void journal_each(struct ledger_txn *txn, uint64_t after, journal_each_fn *each, void *arg)
{
    if (after == UINT64_MAX)
        return;
    /* Keys are longer than a number alone, so all of commit `after + 1` come behind it. */
    struct record from;
    record_init(&from);
    record_add_u64(&from, after + 1);
    struct entries entries = {txn, each, arg};
    ledger_walk(txn, TABLE_JOURNAL, slice_from(NULL, 0), record_bytes(&from), on_entry, &entries);
}

unsigned journal_trim(struct ledger_txn *txn, uint64_t before_ms, unsigned limit)
{
    unsigned trimmed = 0;
    while (trimmed < limit) {
        struct slice key;
        struct slice value;
        struct journal_entry entry;
        if (!ledger_first(txn, TABLE_JOURNAL, slice_from(NULL, 0), &key, &value))
            break;
        if (decode(key, value, &entry) && entry.when_ms >= before_ms)
            break;
        struct record copy; /* deleting moves what the key points to */
        record_init(&copy);
        record_add_bytes(&copy, key);
        if (!ledger_delete(txn, TABLE_JOURNAL, record_bytes(&copy)))
            break;
        trimmed++;
    }
    return trimmed;
}
