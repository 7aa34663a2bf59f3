/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the journal from a position on, and the positions of registered readers. */
#include "journal_table.h"
#include "ledger_table.h"
#include "records.h"
#include "store/journal.h"
#include "store/ledger.h"

/* ---- reading ---- */

struct tail_read {
    struct ledger_txn *txn;
    struct journal_position *position;
    unsigned left;
    bool is_stopped;
    journal_each_fn *each;
    void *arg;
};

static bool on_journal_record(struct slice key, struct slice value, void *arg)
{
    struct tail_read *read = arg;
    struct journal_entry entry;

    if (read->left == 0) {
        read->is_stopped = true;
        return false;
    }
    if (!journal_decode(key, value, &entry)) {
        ledger_set_corrupt(read->txn, "journal");
        return false;
    }
    read->left--;
    *read->position = entry.position;
    read->is_stopped = !read->each(&entry, read->arg);
    return !read->is_stopped;
}

bool journal_is_complete(struct ledger_txn *txn, const struct journal_position *position)
{
    struct journal_position trimmed = journal_trimmed(txn);

    return trimmed.number == 0 || !journal_is_before(position, &trimmed);
}

enum journal_progress journal_read(struct ledger_txn *txn, struct journal_position *position,
                                   unsigned limit, journal_each_fn *each, void *arg)
{
    struct tail_read read = {txn, position, limit, false, each, arg};
    struct record after;

    if (!journal_is_complete(txn, position))
        return JOURNAL_TRIMMED;
    journal_make_key(&after, position);
    ledger_walk(txn, TABLE_JOURNAL, slice_from(NULL, 0), record_bytes(&after), on_journal_record,
                &read);
    return read.is_stopped ? JOURNAL_MORE : JOURNAL_END;
}

/* ---- registered readers ---- */

void journal_reader_put(struct ledger_txn *txn, struct slice name,
                        const struct journal_position *position)
{
    struct record value;

    record_init_value(&value);
    record_add_u64(&value, position->number);
    record_add_u32(&value, position->place);
    ledger_put(txn, TABLE_READER, name, record_bytes(&value));
}

static bool decode_reader(struct ledger_txn *txn, struct slice value, struct journal_position *out)
{
    struct record_reader reader;

    record_read_value(&reader, value);
    struct journal_position position = journal_read_position(&reader);
    if (reader.is_bad) {
        ledger_set_corrupt(txn, "reader");
        return false;
    }
    *out = position;
    return true;
}

bool journal_reader_find(struct ledger_txn *txn, struct slice name, struct journal_position *out)
{
    struct slice value;

    return ledger_get(txn, TABLE_READER, name, &value) && decode_reader(txn, value, out);
}

bool journal_reader_delete(struct ledger_txn *txn, struct slice name)
{
    return ledger_delete(txn, TABLE_READER, name);
}

struct slowest {
    struct ledger_txn *txn;
    struct journal_position position;
};

static bool on_reader_position(struct slice key, struct slice value, void *arg)
{
    struct slowest *slowest = arg;
    struct journal_position position;

    (void)key;
    if (!decode_reader(slowest->txn, value, &position))
        return false;
    if (journal_is_before(&position, &slowest->position))
        slowest->position = position;
    return true;
}

struct journal_position journal_read_by_all(struct ledger_txn *txn)
{
    struct slowest slowest = {txn, journal_after(UINT64_MAX)};

    ledger_walk(txn, TABLE_READER, slice_from(NULL, 0), slice_from(NULL, 0), on_reader_position,
                &slowest);
    return slowest.position;
}
