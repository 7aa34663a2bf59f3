/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is visible in a repository. A blob or a manifest is visible in a hosted repository through a
 * link alone. In a cached one it is also visible when it is public, that is, when some upstream
 * gave it without credentials: then its bytes are no secret. With rights that is not enough: the
 * principal must be allowed to pull one of the repositories that link it.
 *
 * Everything that worker and fetcher answer from the ledger is read here, with a permit for the
 * repository. Slices point into the map and live as long as the transaction.
 */
#ifndef RULES_VISIBLE_H
#define RULES_VISIBLE_H

#include <stdbool.h>

#include "base/slice.h"
#include "store/ledger.h"

struct authorizer;
struct permit;
struct principal;

enum visible {
    VISIBLE_ABSENT, /* not here, or hidden and not even another repository of the origin has it */
    VISIBLE_HIDDEN, /* here, but not for this repository: its upstream's word would be enough */
    VISIBLE_HERE,
};

/* HERE and HIDDEN fill *out. The record says that the bytes are here; only opening the file proves
 * it. */
enum visible visible_blob(const struct permit *permit, struct ledger_txn *txn,
                          const struct digest *digest, struct blob_record *out);
/* A manifest, with the media type that it has in this repository. */
bool visible_manifest(const struct permit *permit, struct ledger_txn *txn,
                      const struct digest *digest, struct manifest_record *out);
/* The same, but only through a link of the repository itself. */
bool visible_own_manifest(const struct permit *permit, struct ledger_txn *txn,
                          const struct digest *digest, struct manifest_record *out);
/* The record of the file of what one of these has found. */
bool visible_file(const struct permit *permit, struct ledger_txn *txn, const struct digest *digest,
                  struct blob_record *out);
/* How the repository itself links the digest: enum link_kind, 0 for not at all. */
unsigned visible_links(const struct permit *permit, struct ledger_txn *txn,
                       const struct digest *digest);
/* The wall clock time since which nothing needs the blob, or the repository's link to it; the
 * earlier of both. 0: they are needed. */
uint64_t visible_unneeded_since(const struct permit *permit, struct ledger_txn *txn,
                                const struct digest *digest, const struct blob_record *record);
bool visible_tag(const struct permit *permit, struct ledger_txn *txn, struct slice tag,
                 struct tag *out);

/* ---- lists; see the functions of store/ledger.h that they are named after ---- */
void visible_tag_each(const struct permit *permit, struct ledger_txn *txn, struct slice last,
                      tag_each_fn *each, void *arg);
void visible_referrer_each(const struct permit *permit, struct ledger_txn *txn,
                           const struct digest *subject, const struct digest *after,
                           link_digest_fn *each, void *arg);
/* The manifests of the repository that name this digest. */
void visible_parent_each(const struct permit *permit, struct ledger_txn *txn,
                         const struct digest *digest, link_digest_fn *each, void *arg);

/* The repositories of an origin (empty: hosted) that the principal may see in a list. */
struct visible_catalog {
    const struct authorizer *authorizer;
    const struct principal *principal;
    struct slice origin;
};
void visible_repository_each(const struct visible_catalog *catalog, struct ledger_txn *txn,
                             struct slice last, repository_each_fn *each, void *arg);

#endif
