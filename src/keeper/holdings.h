/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What repositories hold, their counters, and whether a blob is still needed.
 *
 * A blob is needed while a manifest of any repository names it, or while it is itself a manifest
 * that a repository shows. kept_since is 0 while it is needed, otherwise the time since
 * which it is not. A link is needed by its own repository alone, in the same way; its time is
 * `released`. Who needs a link also needs the blob, so a link is never released later than the
 * blob.
 */
#ifndef KEEPER_HOLDINGS_H
#define KEEPER_HOLDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "apply.h"
#include "oci/name.h"
#include "store/ledger.h"

struct holder { /* a repository's record while an order is applied */
    struct slice origin;
    struct slice name;
    struct repository repository;
    bool is_changed;
};

/* Makes the repository if there is none. */
void holder_get(const struct apply *apply, struct slice origin, struct slice name,
                struct holder *out);
bool holder_find(const struct apply *apply, struct slice origin, struct slice name,
                 struct holder *out);
/* Names point into the map, where writing may move them: a copy. */
struct held_name {
    char bytes[REGISTRY_MAX_LENGTH + NAME_MAX_LENGTH];
};
/* The holder's names point into *name. */
bool holder_find_by_id(const struct apply *apply, uint32_t repository, struct held_name *name,
                       struct holder *out);
/* Writes the record if it changed. */
void holder_put(const struct apply *apply, const struct holder *holder);

/* The repository shows a digest of that size from now on. What was here already, and nobody needs,
 * is kept from now on as if it were new. */
void holder_add(const struct apply *apply, struct holder *holder, const struct digest *digest,
                uint64_t size, enum link_kind kind);
void holder_drop(const struct apply *apply, struct holder *holder, const struct digest *digest,
                 enum link_kind kind);
/* The same for a manifest and all that it names. */
void holder_add_manifest(const struct apply *apply, struct holder *holder,
                         const struct digest *digest, const struct manifest_record *record);
/* The same for a manifest whose record is in the ledger. False: it is not. */
bool holder_add_known_manifest(const struct apply *apply, struct holder *holder,
                               const struct digest *digest);
bool holder_drop_manifest(const struct apply *apply, struct holder *holder,
                          const struct digest *digest);

bool link_is_needed(const struct apply *apply, uint32_t repository, const struct digest *digest);
bool blob_is_needed(const struct apply *apply, const struct digest *digest);
/* One of those that needed the blob does not any more. */
void blob_release(const struct apply *apply, const struct digest *digest);

#endif
