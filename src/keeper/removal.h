/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The removal of a manifest from a repository, and of what is there for its sake alone:
 *
 *   its tags, and the tags `sha256-HEX` and `sha256-HEX.…` that clients make from its digest
 *   children of an index: those without a tag that no other manifest of the repository names
 *   what refers to it by `subject` (signatures, SBOMs), if it has no tag
 *   what the removed tags of its digest named, if it has no other
 *
 * and so on for each of these. REMOVAL_MAX manifests go in the transaction of the order; what is
 * left is entered as due at once, and goes in slices of the collection.
 */
#ifndef KEEPER_REMOVAL_H
#define KEEPER_REMOVAL_H

#include <stdbool.h>
#include <stdint.h>

struct apply;
struct digest;
struct due;
struct holder;
struct order;

#define REMOVAL_MAX 100u

/* The repository shows the manifest. `order` may be NULL: the keeper does it by itself. */
void removal_take(const struct apply *apply, const struct order *order, struct holder *holder,
                  const struct digest *digest, bool keeps_children);
/* The same for a manifest that was left, if nothing keeps it by now. */
void removal_take_due(const struct apply *apply, const struct due *due);
/* A client orders it: the same, unless the repository does not show the manifest, or an index with
 * a tag names it; then the order is refused. Writes the holder. */
void removal_order(const struct apply *apply, struct order *order, struct holder *holder,
                   const struct digest *digest, bool keeps_children);

#endif
