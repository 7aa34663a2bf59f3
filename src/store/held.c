/* SPDX-License-Identifier: Apache-2.0 */
/* The sums are one record of `meta`. A blob that a hosted repository shows is not cached, whoever
 * else shows it. */
#include "held_table.h"
#include "ledger_table.h"
#include "records.h"

#define HELD_KEY "held"

void held_find(struct ledger_txn *txn, struct held *out)
{
    struct slice value;
    struct record_reader reader;

    *out = (struct held){.blobs = 0};
    if (!ledger_get(txn, TABLE_META, slice_of(HELD_KEY), &value))
        return;
    record_read_value(&reader, value);
    out->blobs = record_u64(&reader);
    out->bytes = record_u64(&reader);
    out->cached_bytes = record_u64(&reader);
    if (reader.is_bad)
        ledger_set_corrupt(txn, HELD_KEY);
}

void held_put(struct ledger_txn *txn, const struct held *held)
{
    struct record value;

    record_init_value(&value);
    record_add_u64(&value, held->blobs);
    record_add_u64(&value, held->bytes);
    record_add_u64(&value, held->cached_bytes);
    ledger_put(txn, TABLE_META, slice_of(HELD_KEY), record_bytes(&value));
}

bool held_is_hosted(struct ledger_txn *txn, uint32_t repository)
{
    struct slice origin;
    struct slice name;

    return repository_name(txn, repository, &origin, &name) && origin.length == 0;
}

struct hosts {
    struct ledger_txn *txn;
    bool is_hosted;
};

static bool on_holding_repository(uint32_t repository, unsigned kinds, void *arg)
{
    struct hosts *hosts = arg;

    (void)kinds;
    hosts->is_hosted = held_is_hosted(hosts->txn, repository);
    return !hosts->is_hosted;
}

bool blob_is_hosted(struct ledger_txn *txn, const struct digest *digest)
{
    struct hosts hosts = {txn, false};

    link_each(txn, digest, on_holding_repository, &hosts);
    return hosts.is_hosted;
}

struct held_part held_part_of(struct ledger_txn *txn, const struct digest *digest)
{
    struct blob_record record;

    if (!blob_find(txn, digest, &record))
        return (struct held_part){.is_here = false};
    return (struct held_part){true, !blob_is_hosted(txn, digest), record.size};
}

static void add_part(struct held *held, const struct held_part *part, uint64_t sign)
{
    if (!part->is_here)
        return;
    held->blobs += sign;
    held->bytes += sign * part->size;
    if (part->is_cached)
        held->cached_bytes += sign * part->size;
}

void held_move(struct ledger_txn *txn, const struct digest *digest, const struct held_part *before)
{
    struct held_part after = held_part_of(txn, digest);
    struct held held;

    if (before->is_here == after.is_here && before->is_cached == after.is_cached &&
        before->size == after.size)
        return;
    held_find(txn, &held);
    add_part(&held, before, (uint64_t)-1); /* modulo 2^64: a subtraction */
    add_part(&held, &after, 1);
    held_put(txn, &held);
}
