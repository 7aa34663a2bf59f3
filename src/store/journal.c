/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the journal, and its trimming. Version 1 of an entry had the actor as one text,
 * "principal address request-id" with "-" for what is not known; it is still read.
 */
#include "store/journal.h"

#include "journal_table.h"
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

#define ENTRY_VERSION  2
#define ACTOR_TEXT_MAX ((size_t)256)

static const struct slice trimmed_key = {"trimmed", 7};

void journal_make_key(struct record *key, const struct journal_position *position)
{
    record_init(key);
    record_add_u64(key, position->number);
    record_add_u32(key, position->place);
}

struct journal_position journal_read_position(struct record_reader *reader)
{
    struct journal_position position;

    position.number = record_u64(reader);
    position.place = record_u32(reader);
    return position;
}

bool journal_is_before(const struct journal_position *a, const struct journal_position *b)
{
    return a->number < b->number || (a->number == b->number && a->place < b->place);
}

/* ---- writing ---- */

static struct slice cut_text(struct slice text)
{
    return text.length > ACTOR_TEXT_MAX ? slice_from(text.data, ACTOR_TEXT_MAX) : text;
}

void journal_add(struct ledger_txn *txn, const struct journal_entry *entry)
{
    struct journal_position position = {ledger_next_number(txn), ledger_next_entry(txn)};
    struct record key;
    struct record value;

    journal_make_key(&key, &position);
    record_init_version(&value, ENTRY_VERSION);
    record_add_u8(&value, (uint8_t)entry->kind);
    record_add_u64(&value, entry->when_ms);
    record_add_digest(&value, &entry->digest);
    record_add_text(&value, entry->origin);
    record_add_text(&value, entry->repository);
    record_add_text(&value, entry->tag);
    record_add_text(&value, cut_text(entry->principal));
    record_add_text(&value, cut_text(entry->address));
    record_add_text(&value, cut_text(entry->request_id));
    if (value.is_over)
        ledger_set_too_long(txn);
    ledger_put(txn, TABLE_JOURNAL, record_bytes(&key), record_bytes(&value));
}

/* ---- decoding ---- */

static struct slice cut_word(struct slice *text)
{
    struct slice word = {NULL, 0};

    (void)slice_split(text, ' ', &word);
    return slice_is(word, "-") ? slice_from(NULL, 0) : word;
}

static void split_actor(struct slice text, struct journal_entry *out)
{
    out->principal = cut_word(&text);
    out->address = cut_word(&text);
    out->request_id = cut_word(&text);
}

bool journal_decode(struct slice key, struct slice value, struct journal_entry *out)
{
    struct record_reader reader;

    record_read(&reader, key);
    out->position = journal_read_position(&reader);
    unsigned version = record_read_version(&reader, value, ENTRY_VERSION);
    out->kind = (enum journal_kind)record_u8(&reader);
    out->when_ms = record_u64(&reader);
    record_digest(&reader, &out->digest);
    out->origin = record_text(&reader);
    out->repository = record_text(&reader);
    out->tag = record_text(&reader);
    if (version == 1) {
        split_actor(record_text(&reader), out);
    } else {
        out->principal = record_text(&reader);
        out->address = record_text(&reader);
        out->request_id = record_text(&reader);
    }
    return !reader.is_bad;
}

/* ---- trimming ---- */

static void put_trimmed(struct ledger_txn *txn, const struct journal_position *position)
{
    struct record value;

    journal_make_key(&value, position);
    ledger_put(txn, TABLE_META, trimmed_key, record_bytes(&value));
}

/* A ledger that an older program trimmed does not say how far: everything before the oldest entry
 * may have been there. */
static struct journal_position guess_trimmed(struct ledger_txn *txn)
{
    struct journal_position trimmed = {0, 0};
    struct slice key;
    struct slice value;
    struct error ignored;

    if (ledger_first(txn, TABLE_JOURNAL, slice_from(NULL, 0), &key, &value)) {
        struct record_reader reader;

        record_read(&reader, key);
        trimmed = journal_read_position(&reader);
        if (trimmed.place > 0)
            trimmed.place--;
        else if (trimmed.number > 1)
            trimmed = journal_after(trimmed.number - 1);
        else
            trimmed.number = 0;
    } else if (ledger_commit_number(txn, &trimmed.number, &ignored) == 0 && trimmed.number > 0) {
        trimmed.place = UINT32_MAX;
    }
    return trimmed;
}

struct journal_position journal_trimmed(struct ledger_txn *txn)
{
    struct slice value;
    struct record_reader reader;

    if (!ledger_get(txn, TABLE_META, trimmed_key, &value))
        return guess_trimmed(txn);
    record_read(&reader, value);
    return journal_read_position(&reader);
}

/* Deletes the oldest entry if it may go. */
static bool trim_oldest(struct ledger_txn *txn, const struct journal_ages *ages,
                        const struct journal_position *read_by_all)
{
    struct slice key;
    struct slice value;
    struct journal_entry entry;
    struct record copy;

    if (!ledger_first(txn, TABLE_JOURNAL, slice_from(NULL, 0), &key, &value))
        return false;
    if (journal_decode(key, value, &entry)) {
        bool is_read = !journal_is_before(read_by_all, &entry.position);

        if (entry.when_ms >= (is_read ? ages->before_ms : ages->held_before_ms))
            return false;
    }
    record_init(&copy); /* deleting moves what the key points to */
    record_add_bytes(&copy, key);
    if (!ledger_delete(txn, TABLE_JOURNAL, record_bytes(&copy)))
        return false;
    put_trimmed(txn, &entry.position);
    return true;
}

unsigned journal_trim(struct ledger_txn *txn, const struct journal_ages *ages, unsigned limit)
{
    struct journal_position read_by_all = journal_read_by_all(txn);
    unsigned trimmed = 0;

    while (trimmed < limit && trim_oldest(txn, ages, &read_by_all))
        trimmed++;
    return trimmed;
}
