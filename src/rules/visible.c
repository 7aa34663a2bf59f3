/* SPDX-License-Identifier: Apache-2.0 */
/* See rules/visible.h. A permit that authorize() did not fill is a mistake of ours. */
#include "rules/visible.h"

#include "base/check.h"
#include "oci/api_error.h"
#include "rules/authorize.h"
#include "rules/principal.h"
#include "rules/resolve.h"

#define LINKS_LOOKED_MAX 1000 /* of one digest; base layers have very many */

static const struct resolved *target_of(const struct permit *permit)
{
    CHECK(permit->target);
    return permit->target;
}

/* ---- bytes of other repositories ---- */

struct link_search {
    const struct permit *permit;
    struct ledger_txn *txn;
    unsigned kinds;
    unsigned looked;
    bool is_found;
};

static bool on_link_of_origin(uint32_t repository, unsigned kinds, void *arg)
{
    struct link_search *search = arg;
    struct slice origin;
    struct slice name;

    search->is_found = (kinds & search->kinds) != 0 &&
                       repository_name(search->txn, repository, &origin, &name) &&
                       slice_equal(origin, search->permit->target->origin);
    return !search->is_found && ++search->looked < LINKS_LOOKED_MAX;
}

/* Does a repository of the same upstream show it? One upstream's word proves nothing about
 * another's. */
static bool is_of_origin(const struct permit *permit, struct ledger_txn *txn,
                         const struct digest *digest, unsigned kinds)
{
    struct link_search search = {.permit = permit, .txn = txn, .kinds = kinds};

    link_each(txn, digest, on_link_of_origin, &search);
    return search.is_found;
}

static bool on_link_of_others(uint32_t repository, unsigned kinds, void *arg)
{
    struct link_search *search = arg;
    const struct permit *permit = search->permit;
    struct resolved other;
    struct permit ignored;
    struct api_error error;

    search->is_found =
        (kinds & search->kinds) != 0 && resolve_by_id(search->txn, repository, &other) &&
        authorize(permit->authorizer, permit->principal, &other, ACTION_PULL, &ignored, &error) ==
            0;
    return !search->is_found && ++search->looked < LINKS_LOOKED_MAX;
}

/* Public content that other repositories link: may the principal pull one of them? */
static bool may_share(const struct permit *permit, struct ledger_txn *txn,
                      const struct digest *digest, unsigned kinds)
{
    struct link_search search = {.permit = permit, .txn = txn, .kinds = kinds};

    if (permit->is_own_only)
        return false;
    if (authorizer_allows_all(permit->authorizer))
        return true;
    link_each(txn, digest, on_link_of_others, &search);
    return search.is_found;
}

/* ---- one digest ---- */

unsigned visible_links(const struct permit *permit, struct ledger_txn *txn,
                       const struct digest *digest)
{
    const struct resolved *target = target_of(permit);

    return target->is_known ? link_find(txn, target->repository.id, digest) : 0;
}

uint64_t visible_unneeded_since(const struct permit *permit, struct ledger_txn *txn,
                                const struct digest *digest, const struct blob_record *record)
{
    const struct resolved *target = target_of(permit);
    uint64_t link_ms = target->is_known ? link_released_ms(txn, target->repository.id, digest) : 0;
    uint64_t blob_ms = record->kept_since_ms;

    if (link_ms == 0 || blob_ms == 0)
        return link_ms + blob_ms;
    return link_ms < blob_ms ? link_ms : blob_ms;
}

static bool is_shown(const struct permit *permit, struct ledger_txn *txn,
                     const struct digest *digest, const struct blob_record *record)
{
    bool is_public = permit->target->truth == TRUTH_UPSTREAM && record->is_public;

    /* Most blobs of a cache are public: without rights their links need not be looked up. */
    if (is_public && !permit_is_own_only(permit))
        return true;
    return (visible_links(permit, txn, digest) & LINK_BLOB) != 0 ||
           (is_public && may_share(permit, txn, digest, LINK_BLOB));
}

enum visible visible_blob(const struct permit *permit, struct ledger_txn *txn,
                          const struct digest *digest, struct blob_record *out)
{
    const struct resolved *target = target_of(permit);
    struct blob_record record;

    if (!blob_find(txn, digest, &record) || record.where != BLOB_HERE)
        return VISIBLE_ABSENT;
    if (is_shown(permit, txn, digest, &record)) {
        *out = record;
        return VISIBLE_HERE;
    }
    if (target->truth == TRUTH_UPSTREAM && is_of_origin(permit, txn, digest, LINK_BLOB)) {
        *out = record;
        return VISIBLE_HIDDEN;
    }
    return VISIBLE_ABSENT;
}

bool visible_own_manifest(const struct permit *permit, struct ledger_txn *txn,
                          const struct digest *digest, struct manifest_record *out)
{
    const struct resolved *target = target_of(permit);

    return target->is_known && manifest_find_in(txn, target->repository.id, digest, out);
}

bool visible_manifest(const struct permit *permit, struct ledger_txn *txn,
                      const struct digest *digest, struct manifest_record *out)
{
    struct manifest_record record;
    struct blob_record blob;

    if (visible_own_manifest(permit, txn, digest, out))
        return true;
    /* The bytes of others say which type they have, or only their own repository knows. */
    if (permit->target->truth != TRUTH_UPSTREAM || !manifest_find(txn, digest, &record) ||
        !record.is_typed || !blob_find(txn, digest, &blob) || blob.where != BLOB_HERE ||
        !blob.is_public || !may_share(permit, txn, digest, LINK_MANIFEST))
        return false;
    *out = record;
    return true;
}

bool visible_file(const struct permit *permit, struct ledger_txn *txn, const struct digest *digest,
                  struct blob_record *out)
{
    return target_of(permit) && blob_find(txn, digest, out) && out->where == BLOB_HERE;
}

bool visible_tag(const struct permit *permit, struct ledger_txn *txn, struct slice tag,
                 struct tag *out)
{
    const struct resolved *target = target_of(permit);

    return target->is_known && tag_find(txn, target->repository.id, tag, out);
}

/* ---- lists ---- */

void visible_tag_each(const struct permit *permit, struct ledger_txn *txn, struct slice last,
                      tag_each_fn *each, void *arg)
{
    const struct resolved *target = target_of(permit);

    if (target->is_known)
        tag_each(txn, target->repository.id, last, each, arg);
}

void visible_referrer_each(const struct permit *permit, struct ledger_txn *txn,
                           const struct digest *subject, const struct digest *after,
                           link_digest_fn *each, void *arg)
{
    const struct resolved *target = target_of(permit);

    if (target->is_known)
        referrer_each(txn, target->repository.id, subject, after, each, arg);
}

void visible_parent_each(const struct permit *permit, struct ledger_txn *txn,
                         const struct digest *digest, link_digest_fn *each, void *arg)
{
    const struct resolved *target = target_of(permit);

    if (target->is_known)
        referred_each(txn, target->repository.id, digest, each, arg);
}

struct catalog_walk {
    const struct visible_catalog *catalog;
    repository_each_fn *each;
    void *arg;
};

static bool on_repository(struct slice name, const struct repository *repository, void *arg)
{
    const struct catalog_walk *walk = arg;
    const struct visible_catalog *catalog = walk->catalog;
    bool is_hosted = catalog->origin.length == 0;
    struct resolved target;
    struct permit ignored;
    struct api_error error;

    /* An upload that was left is no repository yet. */
    if (is_hosted ? !repository->is_hosted : repository->links == 0)
        return true;
    if (authorizer_allows_all(catalog->authorizer))
        return walk->each(name, repository, walk->arg);
    resolved_from_record(catalog->origin, name, repository, &target);
    if (authorize(catalog->authorizer, catalog->principal, &target, ACTION_LIST, &ignored,
                  &error) != 0)
        return true;
    return walk->each(name, repository, walk->arg);
}

void visible_repository_each(const struct visible_catalog *catalog, struct ledger_txn *txn,
                             struct slice last, repository_each_fn *each, void *arg)
{
    struct catalog_walk walk = {.catalog = catalog, .each = each, .arg = arg};

    repository_each(txn, catalog->origin, last, on_repository, &walk);
}
