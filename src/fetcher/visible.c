/* SPDX-License-Identifier: Apache-2.0 */
/* See visible.h. */
#include "visible.h"

#include <stdio.h>

#include "role.h"
#include "store/ledger.h"

static bool is_linked(struct ledger_txn *txn, struct slice origin, struct slice repository,
                      const struct digest *digest, unsigned kinds)
{
    struct repository found;

    return repository_find(txn, origin, repository, &found) &&
           (link_find(txn, found.id, digest) & kinds) != 0;
}

/* The digest's file is here; may the repository see it as one of these kinds? */
static enum visible look(struct ledger_txn *txn, struct slice origin, struct slice repository,
                         const struct digest *digest, unsigned kinds)
{
    struct blob_record blob;

    if (!blob_find(txn, digest, &blob))
        return VISIBLE_ABSENT;
    if (blob.is_public || is_linked(txn, origin, repository, digest, kinds))
        return VISIBLE_HERE;
    return VISIBLE_HIDDEN;
}

struct same_origin {
    struct ledger_txn *txn;
    struct slice origin;
    bool is_found;
};

static bool on_link(uint32_t repository, unsigned kinds, void *arg)
{
    struct same_origin *look = arg;
    struct slice origin;
    struct slice name;

    look->is_found = (kinds & LINK_BLOB) != 0 &&
                     repository_name(look->txn, repository, &origin, &name) &&
                     slice_equal(origin, look->origin);
    return !look->is_found;
}

/* Does a repository of the same upstream show it? No upstream's word proves what another's is. */
static bool is_of_origin(struct ledger_txn *txn, struct slice origin, const struct digest *digest)
{
    struct same_origin look = {.txn = txn, .origin = origin};
    link_each(txn, digest, on_link, &look);
    return look.is_found;
}

enum visible visible_blob(struct fetcher *fetcher, struct slice origin, struct slice repository,
                          const struct digest *digest)
{
    struct ledger_txn *txn = ledger_read(fetcher->reader);
    enum visible visible = look(txn, origin, repository, digest, LINK_BLOB);
    if (visible == VISIBLE_HIDDEN && !is_of_origin(txn, origin, digest))
        visible = VISIBLE_ABSENT;
    ledger_read_end(fetcher->reader);
    return visible;
}

enum visible visible_manifest(struct fetcher *fetcher, struct slice origin, struct slice repository,
                              const struct digest *digest, struct visible_manifest *out)
{
    struct ledger_txn *txn = ledger_read(fetcher->reader);
    struct manifest_record record;
    enum visible visible = VISIBLE_ABSENT;

    struct repository found;
    out->is_linked = repository_find(txn, origin, repository, &found) &&
                     manifest_find_in(txn, found.id, digest, &record);
    if (out->is_linked || manifest_find(txn, digest, &record)) {
        visible = look(txn, origin, repository, digest, LINK_MANIFEST);
        /* Which type it has there is only known there. */
        if (visible == VISIBLE_HERE && !out->is_linked && !record.is_typed)
            visible = VISIBLE_HIDDEN;
        out->size = record.size;
        (void)snprintf(out->media_type, sizeof(out->media_type), "%.*s",
                       SLICE_PRINT(record.media_type));
    }
    ledger_read_end(fetcher->reader);
    return visible;
}

bool visible_tag(struct fetcher *fetcher, struct slice origin, struct slice repository,
                 struct slice tag, struct digest *out_digest, uint64_t *out_checked_ms)
{
    struct ledger_txn *txn = ledger_read(fetcher->reader);
    struct repository found;
    struct tag record;
    bool is_known =
        repository_find(txn, origin, repository, &found) && tag_find(txn, found.id, tag, &record);

    if (is_known) {
        *out_digest = record.digest;
        *out_checked_ms = record.checked_ms;
    }
    ledger_read_end(fetcher->reader);
    return is_known;
}
