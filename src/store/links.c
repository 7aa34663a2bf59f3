/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How repositories and digests belong together; each pair has a key of its own:
 *
 *   link      id, digest            → kinds    what a repository shows
 *   linked    digest, id            → kinds    the same, from the other side
 *   referred  digest, id, parent    →          a manifest of the repository names the digest
 *   referrer  id, subject, referrer →          a manifest of the repository has that subject
 */
#include "due_table.h"
#include "held_table.h"
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

/* ---- links ---- */

static void link_key(struct record *key, uint32_t repository, const struct digest *digest)
{
    record_init(key);
    record_add_u32(key, repository);
    record_add_digest(key, digest);
}

static void linked_key(struct record *key, const struct digest *digest, uint32_t repository)
{
    record_init(key);
    record_add_digest(key, digest);
    record_add_u32(key, repository);
}

struct link {
    unsigned kinds;
    struct slice media_type; /* of the manifest, as this repository has it */
    uint64_t released_ms;
};

static bool decode_link(struct ledger_txn *txn, struct slice value, struct link *out)
{
    struct record_reader reader;

    record_read_value(&reader, value);
    out->kinds = record_u8(&reader);
    out->media_type = record_text(&reader);
    out->released_ms = record_u64(&reader);
    if (!reader.is_bad)
        return true;
    ledger_set_corrupt(txn, "link");
    return false;
}

static unsigned decode_kinds(struct ledger_txn *txn, struct slice value)
{
    struct link link;

    return decode_link(txn, value, &link) ? link.kinds : 0;
}

unsigned link_find(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    struct slice ignored;

    return link_find_typed(txn, repository, digest, &ignored);
}

static bool get_link(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                     struct link *out)
{
    struct record key;
    struct slice value;

    link_key(&key, repository, digest);
    if (ledger_get(txn, TABLE_LINK, record_bytes(&key), &value) && decode_link(txn, value, out))
        return true;
    *out = (struct link){.media_type = slice_of("")};
    return false;
}

unsigned link_find_typed(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                         struct slice *out_media_type)
{
    struct link link;

    (void)get_link(txn, repository, digest, &link);
    *out_media_type = link.media_type;
    return link.kinds;
}

static void put_link(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                     const struct link *link)
{
    struct record key;
    struct record value;

    record_init_value(&value);
    record_add_u8(&value, (uint8_t)link->kinds);
    record_add_text(&value, link->media_type);
    record_add_u64(&value, link->released_ms);
    if (value.is_over)
        ledger_set_too_long(txn);
    link_key(&key, repository, digest);
    ledger_put(txn, TABLE_LINK, record_bytes(&key), record_bytes(&value));
}

void link_put(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
              unsigned kinds, struct slice media_type)
{
    struct link link;
    struct record key;
    struct record value;

    bool is_counted = !get_link(txn, repository, digest, &link) && held_is_hosted(txn, repository);
    struct held_part before = {.is_here = false};
    if (is_counted)
        before = held_part_of(txn, digest);
    link.kinds = kinds;
    if (media_type.data)
        link.media_type = media_type;
    put_link(txn, repository, digest, &link);
    record_init_value(&value);
    record_add_u8(&value, (uint8_t)kinds);
    linked_key(&key, digest, repository);
    ledger_put(txn, TABLE_LINKED, record_bytes(&key), record_bytes(&value));
    if (is_counted)
        held_move(txn, digest, &before);
}

static void enter(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                  uint64_t before_ms, uint64_t since_ms)
{
    struct due due = {.kind = DUE_LINK, .repository = repository, .digest = *digest};

    due_move(txn, &due, before_ms, since_ms);
}

bool link_delete(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    struct record key;
    bool is_counted = held_is_hosted(txn, repository);
    struct held_part before = {.is_here = false};

    if (is_counted)
        before = held_part_of(txn, digest);
    enter(txn, repository, digest, link_released_ms(txn, repository, digest), 0);
    link_key(&key, repository, digest);
    bool was_there = ledger_delete(txn, TABLE_LINK, record_bytes(&key));
    linked_key(&key, digest, repository);
    (void)ledger_delete(txn, TABLE_LINKED, record_bytes(&key));
    if (is_counted)
        held_move(txn, digest, &before);
    return was_there;
}

uint64_t link_released_ms(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    struct link link;

    (void)get_link(txn, repository, digest, &link);
    return link.released_ms;
}

void link_release(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                  uint64_t when_ms)
{
    struct link link;

    if (!get_link(txn, repository, digest, &link) || link.released_ms == when_ms)
        return;
    uint64_t before_ms = link.released_ms;
    link.released_ms = when_ms;
    put_link(txn, repository, digest, &link); /* before anything else moves the media type */
    enter(txn, repository, digest, before_ms, when_ms);
}

struct repositories {
    struct ledger_txn *txn;
    size_t skip; /* length of the digest before the id */
    link_each_fn *each;
    void *arg;
};

static bool on_linked_key(struct slice key, struct slice value, void *arg)
{
    const struct repositories *walk = arg;
    struct record_reader reader;

    record_read(&reader, slice_skip(key, walk->skip));
    uint32_t repository = record_u32(&reader);
    return walk->each(repository, decode_kinds(walk->txn, value), walk->arg);
}

void link_each(struct ledger_txn *txn, const struct digest *digest, link_each_fn *each, void *arg)
{
    struct record prefix;

    record_init(&prefix);
    record_add_digest(&prefix, digest);
    struct repositories walk = {txn, prefix.length, each, arg};
    ledger_walk(txn, TABLE_LINKED, record_bytes(&prefix), slice_from(NULL, 0), on_linked_key,
                &walk);
}

struct digests {
    struct ledger_txn *txn;
    size_t skip; /* length of what is before the digest */
    bool has_kinds;
    link_digest_fn *each;
    void *arg;
};

static bool on_digest_key(struct slice key, struct slice value, void *arg)
{
    const struct digests *walk = arg;
    struct record_reader reader;

    record_read(&reader, slice_skip(key, walk->skip));
    struct digest digest;
    record_digest(&reader, &digest);
    if (reader.is_bad) {
        ledger_set_corrupt(walk->txn, "link");
        return false;
    }
    return walk->each(&digest, walk->has_kinds ? decode_kinds(walk->txn, value) : LINK_MANIFEST,
                      walk->arg);
}

void link_each_after(struct ledger_txn *txn, uint32_t repository, const struct digest *after,
                     link_digest_fn *each, void *arg)
{
    struct record prefix;
    struct record start;

    record_init(&prefix);
    record_add_u32(&prefix, repository);
    start = prefix;
    if (after)
        record_add_digest(&start, after);
    struct digests walk = {txn, prefix.length, true, each, arg};
    ledger_walk(txn, TABLE_LINK, record_bytes(&prefix),
                after ? record_bytes(&start) : slice_from(NULL, 0), on_digest_key, &walk);
}

void link_each_in(struct ledger_txn *txn, uint32_t repository, link_digest_fn *each, void *arg)
{
    link_each_after(txn, repository, NULL, each, arg);
}

struct all_links {
    struct ledger_txn *txn;
    survey_link_fn *each;
    void *arg;
};

static bool on_link_key(struct slice key, struct slice value, void *arg)
{
    const struct all_links *walk = arg;
    struct record_reader reader;
    struct digest digest;

    record_read(&reader, key);
    uint32_t repository = record_u32(&reader);
    record_digest(&reader, &digest);
    if (reader.is_bad)
        ledger_set_corrupt(walk->txn, "link");
    return !reader.is_bad &&
           walk->each(repository, &digest, decode_kinds(walk->txn, value), walk->arg);
}

void survey_links(struct ledger_txn *txn, const struct survey *survey, survey_link_fn *each,
                  void *arg)
{
    struct all_links walk = {txn, each, arg};
    bool is_first = (unsigned)survey->digest.algorithm == 0;
    struct record start;

    if (!is_first)
        link_key(&start, survey->repository, &survey->digest);
    ledger_walk(txn, TABLE_LINK, slice_from(NULL, 0),
                is_first ? slice_from(NULL, 0) : record_bytes(&start), on_link_key, &walk);
}

/* ---- referred ---- */

static void referred_key(struct record *key, uint32_t repository, const struct digest *digest,
                         const struct digest *parent)
{
    linked_key(key, digest, repository);
    record_add_digest(key, parent);
}

static void put_empty(struct ledger_txn *txn, enum ledger_table table, const struct record *key)
{
    struct record value;

    record_init_value(&value);
    ledger_put(txn, table, record_bytes(key), record_bytes(&value));
}

void referred_put(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                  const struct digest *parent)
{
    struct record key;

    referred_key(&key, repository, digest, parent);
    put_empty(txn, TABLE_REFERRED, &key);
}

void referred_delete(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                     const struct digest *parent)
{
    struct record key;

    referred_key(&key, repository, digest, parent);
    (void)ledger_delete(txn, TABLE_REFERRED, record_bytes(&key));
}

bool referred_find_parent(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                          struct digest *out_parent)
{
    struct record prefix;

    linked_key(&prefix, digest, repository);
    struct slice key;
    struct slice value;
    if (!ledger_first(txn, TABLE_REFERRED, record_bytes(&prefix), &key, &value))
        return false;
    struct record_reader reader;
    record_read(&reader, slice_skip(key, prefix.length));
    record_digest(&reader, out_parent);
    if (reader.is_bad)
        ledger_set_corrupt(txn, "referred");
    return !reader.is_bad;
}

void referred_each(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                   link_digest_fn *each, void *arg)
{
    struct record prefix;

    linked_key(&prefix, digest, repository);
    struct digests walk = {txn, prefix.length, false, each, arg};
    ledger_walk(txn, TABLE_REFERRED, record_bytes(&prefix), slice_from(NULL, 0), on_digest_key,
                &walk);
}

bool referred_any(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    struct digest parent;

    return referred_find_parent(txn, repository, digest, &parent);
}

bool referred_anywhere(struct ledger_txn *txn, const struct digest *digest)
{
    struct record prefix;

    record_init(&prefix);
    record_add_digest(&prefix, digest);
    struct slice key;
    struct slice value;
    return ledger_first(txn, TABLE_REFERRED, record_bytes(&prefix), &key, &value);
}

/* ---- referrers ---- */

static void referrer_key(struct record *key, uint32_t repository, const struct digest *subject,
                         const struct digest *referrer)
{
    link_key(key, repository, subject);
    record_add_digest(key, referrer);
}

void referrer_put(struct ledger_txn *txn, uint32_t repository, const struct digest *subject,
                  const struct digest *referrer)
{
    struct record key;

    referrer_key(&key, repository, subject, referrer);
    put_empty(txn, TABLE_REFERRER, &key);
}

void referrer_delete(struct ledger_txn *txn, uint32_t repository, const struct digest *subject,
                     const struct digest *referrer)
{
    struct record key;

    referrer_key(&key, repository, subject, referrer);
    (void)ledger_delete(txn, TABLE_REFERRER, record_bytes(&key));
}

void referrer_each(struct ledger_txn *txn, uint32_t repository, const struct digest *subject,
                   const struct digest *after, link_digest_fn *each, void *arg)
{
    struct record prefix;
    struct record start;

    link_key(&prefix, repository, subject);
    if (after)
        referrer_key(&start, repository, subject, after);
    struct digests walk = {txn, prefix.length, false, each, arg};
    ledger_walk(txn, TABLE_REFERRER, record_bytes(&prefix),
                after ? record_bytes(&start) : slice_from(NULL, 0), on_digest_key, &walk);
}
