/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands for itself in a repository, and what is there for the sake of something else. People
 * see images, lists show them, and eviction counts them; the rest comes and goes with its image.
 */
#ifndef RULES_IMAGE_H
#define RULES_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct digest;
struct ledger_txn;

/* A tag of the repository names it. */
bool image_has_tag(struct ledger_txn *txn, uint32_t repository, const struct digest *digest);
/* A manifest of the repository names it (an index its child), or it refers by `subject` to one that
 * the repository shows (a signature, an SBOM). */
bool image_is_part(struct ledger_txn *txn, uint32_t repository, const struct digest *digest);
/* The repository shows it as a manifest that has a tag, or is no part of another. */
bool image_is_whole(struct ledger_txn *txn, uint32_t repository, const struct digest *digest);

#endif
