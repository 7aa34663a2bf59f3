/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each version brought:
 *
 *   2  `tagged`, which is made here from the tags; `due`, which the survey fills while the server
 *      runs (store/ledger.h)
 *   3  `recent`, which is made here of the manifests in cached repositories; `pin`, which is empty;
 *      the sums of `held`, which are made here
 */
#include "upgrade.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "due_table.h"
#include "held_table.h"
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

#define RECENT_CHUNK 1024u

struct recent_chunk { /* manifests of cached repositories */
    struct ledger_txn *txn;
    struct survey at;
    struct digest digests[RECENT_CHUNK];
    unsigned count;
    unsigned looked;
};

static bool on_old_link(uint32_t repository, const struct digest *digest, unsigned kinds, void *arg)
{
    struct recent_chunk *chunk = arg;

    if (chunk->count == RECENT_CHUNK)
        return false;
    chunk->at.repository = repository;
    chunk->at.digest = *digest;
    chunk->looked++;
    if ((kinds & LINK_MANIFEST) != 0 && !held_is_hosted(chunk->txn, repository))
        chunk->digests[chunk->count++] = *digest;
    return true;
}

/* What was never used is as old as its bytes. */
static void enter_recent(struct ledger_txn *txn, const struct digest *digest)
{
    uint64_t used_ms = use_find(txn, digest);
    struct blob_record blob;

    if (used_ms == 0 && blob_find(txn, digest, &blob))
        used_ms = blob.stored_ms;
    recent_enter(txn, digest, used_ms);
}

static void make_recent(struct ledger_txn *txn)
{
    struct recent_chunk *chunk = NEW(struct recent_chunk);

    chunk->txn = txn;
    chunk->at.is_in_links = true;
    do {
        struct survey from = chunk->at;

        chunk->count = 0;
        chunk->looked = 0;
        survey_links(txn, &from, on_old_link, chunk);
        for (unsigned i = 0; i < chunk->count; i++)
            enter_recent(txn, &chunk->digests[i]);
    } while (chunk->looked > 0 && !ledger_error(txn));
    mem_free(chunk);
}

struct summing {
    struct ledger_txn *txn;
    struct held held;
};

static bool on_old_blob(const struct digest *digest, const struct blob_record *record, void *arg)
{
    struct summing *summing = arg;
    struct held_part part = held_part_of(summing->txn, digest);

    summing->held.blobs++;
    summing->held.bytes += record->size;
    if (part.is_cached)
        summing->held.cached_bytes += record->size;
    return true;
}

static void make_held(struct ledger_txn *txn)
{
    struct summing summing = {.txn = txn};

    blob_each(txn, NULL, on_old_blob, &summing);
    held_put(txn, &summing.held);
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
    if (from > 0 && from < 3) {
        make_recent(txn);
        make_held(txn);
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
