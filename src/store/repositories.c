/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repositories: (origin, name) → record, and id → (origin, name). Ids count up from 1 and are never
 * reused. All other tables know a repository by its id.
 */
#include <string.h>

#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

#define FLAG_HOSTED 1u

static const struct slice last_id_key = {"repository", 10};

static void make_repository_key(struct record *key, struct slice origin, struct slice name)
{
    record_init(key);
    key->is_over = origin.length > UINT8_MAX;
    record_add_u8(key, (uint8_t)origin.length);
    record_add_bytes(key, origin);
    record_add_bytes(key, name);
    key->is_over = key->is_over || key->length > LEDGER_KEY_MAX;
}

static bool decode_repository(struct slice value, struct repository *out)
{
    struct record_reader reader;

    record_read_value(&reader, value);
    out->id = record_u32(&reader);
    out->is_hosted = (record_u8(&reader) & FLAG_HOSTED) != 0;
    out->bytes = record_u64(&reader);
    out->last_post_ms = record_u64(&reader);
    out->links = record_u64(&reader);
    return !reader.is_bad;
}

bool repository_find(struct ledger_txn *txn, struct slice origin, struct slice name,
                     struct repository *out)
{
    struct record key;

    make_repository_key(&key, origin, name);
    struct slice value;
    if (key.is_over || !ledger_get(txn, TABLE_REPOSITORY, record_bytes(&key), &value))
        return false;
    if (decode_repository(value, out))
        return true;
    ledger_set_corrupt(txn, "repository");
    return false;
}

void repository_put(struct ledger_txn *txn, struct slice origin, struct slice name,
                    const struct repository *repository)
{
    struct record key;

    make_repository_key(&key, origin, name);
    if (key.is_over) {
        ledger_set_too_long(txn);
        return;
    }
    struct record value;
    record_init_value(&value);
    record_add_u32(&value, repository->id);
    record_add_u8(&value, repository->is_hosted ? FLAG_HOSTED : 0);
    record_add_u64(&value, repository->bytes);
    record_add_u64(&value, repository->last_post_ms);
    record_add_u64(&value, repository->links);
    ledger_put(txn, TABLE_REPOSITORY, record_bytes(&key), record_bytes(&value));
}

static uint32_t next_id(struct ledger_txn *txn)
{
    uint32_t id = 1;
    struct slice value;

    if (ledger_get(txn, TABLE_META, last_id_key, &value)) {
        struct record_reader reader;

        record_read(&reader, value);
        id = record_u32(&reader) + 1;
    }
    struct record record;
    record_init(&record);
    record_add_u32(&record, id);
    ledger_put(txn, TABLE_META, last_id_key, record_bytes(&record));
    return id;
}

static void put_name(struct ledger_txn *txn, uint32_t id, struct slice origin, struct slice name)
{
    struct record key;

    record_init(&key);
    record_add_u32(&key, id);
    struct record value;
    record_init_value(&value);
    record_add_text(&value, origin);
    record_add_text(&value, name);
    ledger_put(txn, TABLE_REPOSITORY_NAME, record_bytes(&key), record_bytes(&value));
}

void repository_get(struct ledger_txn *txn, struct slice origin, struct slice name,
                    struct repository *out)
{
    if (repository_find(txn, origin, name, out))
        return;
    memset(out, 0, sizeof(*out));
    out->id = next_id(txn);
    repository_put(txn, origin, name, out);
    put_name(txn, out->id, origin, name);
}

bool repository_name(struct ledger_txn *txn, uint32_t id, struct slice *out_origin,
                     struct slice *out_name)
{
    struct record key;

    record_init(&key);
    record_add_u32(&key, id);
    struct slice value;
    if (!ledger_get(txn, TABLE_REPOSITORY_NAME, record_bytes(&key), &value))
        return false;
    struct record_reader reader;
    record_read_value(&reader, value);
    *out_origin = record_text(&reader);
    *out_name = record_text(&reader);
    if (reader.is_bad)
        ledger_set_corrupt(txn, "repository_name");
    return !reader.is_bad;
}

/* ---- walks ---- */

struct names {
    struct ledger_txn *txn;
    size_t skip; /* length of what is before the name in a key */
    repository_each_fn *each;
    void *arg;
};

static bool on_repository_key(struct slice key, struct slice value, void *arg)
{
    const struct names *names = arg;
    struct repository repository;

    if (!decode_repository(value, &repository)) {
        ledger_set_corrupt(names->txn, "repository");
        return false;
    }
    return names->each(slice_skip(key, names->skip), &repository, names->arg);
}

void repository_each(struct ledger_txn *txn, struct slice origin, struct slice last,
                     repository_each_fn *each, void *arg)
{
    struct record prefix;

    make_repository_key(&prefix, origin, slice_from(NULL, 0));
    if (prefix.is_over)
        return;
    /* No key is longer than the cut one, so none lies between the cut one and the full one. */
    struct record after = prefix;
    record_add_start(&after, last, LEDGER_KEY_MAX);
    struct names names = {txn, 1 + origin.length, each, arg};
    ledger_walk(txn, TABLE_REPOSITORY, record_bytes(&prefix),
                last.length > 0 ? record_bytes(&after) : slice_from(NULL, 0), on_repository_key,
                &names);
}

struct all_names {
    struct ledger_txn *txn;
    repository_all_fn *each;
    void *arg;
};

static bool on_key_of_all(struct slice key, struct slice value, void *arg)
{
    const struct all_names *names = arg;
    struct record_reader reader;
    struct repository repository;

    record_read(&reader, key);
    struct slice origin = record_part(&reader, record_u8(&reader));
    if (reader.is_bad || !decode_repository(value, &repository)) {
        ledger_set_corrupt(names->txn, "repository");
        return false;
    }
    return names->each(origin, slice_skip(key, 1 + origin.length), &repository, names->arg);
}

void repository_each_of_all(struct ledger_txn *txn, struct slice after_origin,
                            struct slice after_name, repository_all_fn *each, void *arg)
{
    struct all_names names = {txn, each, arg};
    struct record after;

    make_repository_key(&after, after_origin, after_name);
    ledger_walk(txn, TABLE_REPOSITORY, slice_from(NULL, 0),
                after_name.length > 0 && !after.is_over ? record_bytes(&after)
                                                        : slice_from(NULL, 0),
                on_key_of_all, &names);
}

static bool on_link_of_hosted(const struct digest *digest, unsigned kinds, void *arg)
{
    (void)digest;
    bool *has_manifest = arg;
    *has_manifest = (kinds & LINK_MANIFEST) != 0;
    return !*has_manifest;
}

/* A repository stays hosted after all its images were deleted: look for images. */
static bool is_pulled_from(struct ledger_txn *txn, const struct repository *repository)
{
    bool has_manifest = false;

    if (repository->is_hosted)
        link_each_in(txn, repository->id, on_link_of_hosted, &has_manifest);
    return has_manifest;
}

struct repository_search {
    struct ledger_txn *txn;
    bool is_found;
};

static bool on_hosted_below(struct slice name, const struct repository *repository, void *arg)
{
    (void)name;
    struct repository_search *search = arg;
    search->is_found = is_pulled_from(search->txn, repository);
    return !search->is_found;
}

bool repository_any_hosted_below(struct ledger_txn *txn, struct slice first)
{
    struct slice hosted = slice_from(NULL, 0);
    struct repository repository;

    if (repository_find(txn, hosted, first, &repository) && is_pulled_from(txn, &repository))
        return true;
    struct record prefix;
    make_repository_key(&prefix, hosted, first);
    record_add_u8(&prefix, '/');
    if (prefix.is_over)
        return false;
    struct repository_search search = {txn, false};
    struct names names = {txn, 1, on_hosted_below, &search};
    ledger_walk(txn, TABLE_REPOSITORY, record_bytes(&prefix), slice_from(NULL, 0),
                on_repository_key, &names);
    return search.is_found;
}
