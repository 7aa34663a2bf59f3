/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each version brought:
 *
 *   2  `tagged`, which is made here from the tags; `due`, which the survey fills while the server
 *      runs (store/ledger.h)
 */
#include "upgrade.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "due_table.h"
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"
#include "tag_table.h"

#define ATTEMPTS   3                   /* the map grows between them */
#define CHUNK_SIZE ((size_t)256 << 10) /* of keys and digests that are copied between two walks */

struct chunk { /* tags as they were read: nothing may write while keys are walked */
    struct ledger_txn *txn;
    struct buf entries; /* u16 length of the key, key, digest */
    struct record last; /* key */
};

static bool on_tag(struct slice key, struct slice value, void *arg)
{
    struct chunk *chunk = arg;
    struct record entry;
    struct tag tag;

    if (!tag_decode(value, &tag)) {
        ledger_set_corrupt(chunk->txn, "tag");
        return false;
    }
    record_init(&entry);
    record_add_text(&entry, key);
    record_add_digest(&entry, &tag.digest);
    if (chunk->entries.length + entry.length > CHUNK_SIZE)
        return false;
    buf_append_slice(&chunk->entries, record_bytes(&entry));
    record_init(&chunk->last);
    record_add_bytes(&chunk->last, key);
    return true;
}

static void put_chunk(const struct chunk *chunk)
{
    struct record_reader reader;

    record_read(&reader, buf_bytes(&chunk->entries));
    while (reader.rest.length > 0) {
        struct record_reader key;
        struct digest digest;

        record_read(&key, record_text(&reader));
        record_digest(&reader, &digest);
        uint32_t repository = record_u32(&key);
        tagged_put(chunk->txn, repository, key.rest, &digest);
    }
}

static void make_tagged(struct ledger_txn *txn)
{
    struct chunk chunk = {.txn = txn};

    buf_init(&chunk.entries, CHUNK_SIZE);
    do {
        buf_clear(&chunk.entries);
        ledger_walk(txn, TABLE_TAG, slice_from(NULL, 0), record_bytes(&chunk.last), on_tag, &chunk);
        put_chunk(&chunk);
    } while (chunk.entries.length > 0 && !ledger_error(txn));
    buf_cleanup(&chunk.entries);
}

static int try_upgrade(struct ledger *ledger, uint32_t from, uint32_t version, struct error *err)
{
    struct ledger_txn *txn = NULL;
    struct survey survey = {.is_in_links = false};
    struct record value;
    int rc = ledger_write(ledger, &txn, err);

    if (rc != 0)
        return rc;
    if (from == 1) {
        make_tagged(txn);
        survey_put(txn, &survey);
    }
    record_init(&value);
    record_add_u32(&value, version);
    ledger_put(txn, TABLE_META, slice_of("version"), record_bytes(&value));
    (void)FAILPOINT("upgrade.commit");
    return ledger_commit(&txn, err);
}

int ledger_upgrade(struct ledger *ledger, uint32_t from, uint32_t version, struct error *err)
{
    uint64_t began_us = clock_mono_us();
    int rc = -1;

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        rc = try_upgrade(ledger, from, version, err);
        if (rc != -ERR_NO_SPACE)
            break;
    }
    if (rc != 0)
        return error_wrap(err, "the ledger cannot be brought to version %u", version);
    if (from > 0) {
        struct log_line line;

        log_begin(&line, LOG_INFO);
        log_u64(&line, "ms", (clock_mono_us() - began_us) / 1000);
        log_end(&line, "the ledger was brought from version %u to %u", from, version);
    }
    return 0;
}
