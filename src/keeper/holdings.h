/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What repositories hold, with their counters, and who still needs a blob.
 *
 * A blob is needed while a manifest of any repository names it, or while it is itself a manifest
 * that a repository shows. kept_since is 0 while it is needed, else the time since which it is not.
 */
#ifndef KEEPER_HOLDINGS_H
#define KEEPER_HOLDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "apply.h"
#include "store/ledger.h"

struct holder { /* a repository's record while an order is applied */
    struct slice origin;
    struct slice name;
    struct repository repository;
    bool is_changed;
};

/* Makes it. */
void holder_get(const struct apply *apply, struct slice origin, struct slice name,
                struct holder *out);
bool holder_find(const struct apply *apply, struct slice origin, struct slice name,
                 struct holder *out);
/* Writes the record if it changed. */
void holder_put(const struct apply *apply, const struct holder *holder);

/* Shows a digest of that size in the repository. */
void holder_add(const struct apply *apply, struct holder *holder, const struct digest *digest,
                uint64_t size, enum link_kind kind);
void holder_drop(const struct apply *apply, struct holder *holder, const struct digest *digest,
                 enum link_kind kind);
/* The same of a manifest and all that it names. */
void holder_add_manifest(const struct apply *apply, struct holder *holder,
                         const struct digest *digest, const struct manifest_record *record);
/* A manifest whose record is here; false: it is not. */
bool holder_add_known_manifest(const struct apply *apply, struct holder *holder,
                               const struct digest *digest);
bool holder_drop_manifest(const struct apply *apply, struct holder *holder,
                          const struct digest *digest);

bool blob_is_needed(const struct apply *apply, const struct digest *digest);
/* Somebody needs it now. */
void blob_keep(const struct apply *apply, const struct digest *digest);
/* Somebody does not need it any more. */
void blob_release(const struct apply *apply, const struct digest *digest);

#endif
