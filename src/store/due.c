/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nobody needs, by the time since when: (time, kind, repository of a link, digest). The time
 * is that in the link or blob, not the time when it goes, so that another `storage.grace` counts at
 * once. The survey enters what older programs have stored.
 */
#include "due_table.h"
#include "ledger_table.h"
#include "records.h"

static void make_due_key(struct record *key, const struct due *due)
{
    record_init(key);
    record_add_u64(key, due->since_ms);
    record_add_u8(key, (uint8_t)due->kind);
    if (due->kind != DUE_BLOB)
        record_add_u32(key, due->repository);
    record_add_digest(key, &due->digest);
}

static bool decode_due(struct slice key, struct due *out)
{
    struct record_reader reader;

    record_read(&reader, key);
    out->since_ms = record_u64(&reader);
    out->kind = (enum due_kind)record_u8(&reader);
    out->repository = out->kind != DUE_BLOB ? record_u32(&reader) : 0;
    record_digest(&reader, &out->digest);
    return !reader.is_bad && out->kind >= DUE_LINK && out->kind <= DUE_MANIFEST;
}

void due_drop(struct ledger_txn *txn, const struct due *due)
{
    struct record key;

    make_due_key(&key, due);
    (void)ledger_delete(txn, TABLE_DUE, record_bytes(&key));
}

void due_enter(struct ledger_txn *txn, const struct due *due)
{
    struct record key;
    struct record value;

    make_due_key(&key, due);
    record_init_value(&value);
    ledger_put(txn, TABLE_DUE, record_bytes(&key), record_bytes(&value));
}

void due_move(struct ledger_txn *txn, const struct due *due, uint64_t before_ms, uint64_t since_ms)
{
    struct due entry = *due;

    if (before_ms == since_ms)
        return;
    entry.since_ms = before_ms;
    if (before_ms != 0)
        due_drop(txn, &entry);
    if (since_ms == 0)
        return;
    entry.since_ms = since_ms;
    due_enter(txn, &entry);
}

struct oldest {
    struct ledger_txn *txn;
    struct due *out;
    size_t count;
    size_t max;
};

static bool on_due_key(struct slice key, struct slice value, void *arg)
{
    struct oldest *oldest = arg;

    (void)value;
    if (oldest->count == oldest->max)
        return false;
    if (decode_due(key, &oldest->out[oldest->count])) {
        oldest->count++;
        return true;
    }
    ledger_set_corrupt(oldest->txn, "due");
    return false;
}

size_t due_after(struct ledger_txn *txn, const struct due *after, struct due *out, size_t max)
{
    struct oldest oldest = {txn, out, 0, max};
    struct record start;

    record_init(&start);
    if (after)
        make_due_key(&start, after);
    ledger_walk(txn, TABLE_DUE, slice_from(NULL, 0), record_bytes(&start), on_due_key, &oldest);
    return ledger_error(txn) ? 0 : oldest.count;
}

size_t due_first(struct ledger_txn *txn, struct due *out, size_t max)
{
    return due_after(txn, NULL, out, max);
}

/* ---- the survey ---- */

bool survey_find(struct ledger_txn *txn, struct survey *out)
{
    struct slice value;
    struct record_reader reader;

    if (!ledger_get(txn, TABLE_META, slice_of(SURVEY_KEY), &value))
        return false;
    record_read_value(&reader, value);
    out->is_in_links = record_u8(&reader) != 0;
    out->repository = record_u32(&reader);
    record_digest(&reader, &out->digest);
    if (reader.is_bad)
        ledger_set_corrupt(txn, "survey");
    return !reader.is_bad;
}

void survey_put(struct ledger_txn *txn, const struct survey *survey)
{
    struct record value;

    if (!survey) {
        (void)ledger_delete(txn, TABLE_META, slice_of(SURVEY_KEY));
        return;
    }
    record_init_value(&value);
    record_add_u8(&value, survey->is_in_links);
    record_add_u32(&value, survey->repository);
    record_add_digest(&value, &survey->digest);
    ledger_put(txn, TABLE_META, slice_of(SURVEY_KEY), record_bytes(&value));
}

void survey_enter(struct ledger_txn *txn, const struct digest *digest,
                  const struct blob_record *record)
{
    struct due due = {.kind = DUE_BLOB, .digest = *digest};

    due_move(txn, &due, 0, record->kept_since_ms);
}
