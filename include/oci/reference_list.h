/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors of a manifest in binary. Manifest records in the ledger keep such a list, and
 * messages to the keeper carry it, so that neither has to parse the manifest again. Pure functions;
 * slices point into the input.
 */
#ifndef OCI_REFERENCE_LIST_H
#define OCI_REFERENCE_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"
#include "oci/manifest.h"

struct buf;

/* No list is longer: a manifest has at most so many descriptors, and a config. */
#define REFERENCE_LIST_MAX ((size_t)(MANIFEST_MAX_DESCRIPTORS + 1) * (1 + 10 + DIGEST_BINARY_MAX))

/* One descriptor of the manifest. */
struct reference {
    uint8_t role; /* enum descriptor_role */
    bool is_foreign;
    uint64_t size; /* or DESCRIPTOR_SIZE_UNKNOWN */
    struct digest digest;
};

/* Appends all descriptors of the manifest. */
void reference_list_encode(const struct manifest *manifest, struct buf *out);
/* Cuts the next entry off *list. False: the list has ended, or is malformed and then not empty. */
bool reference_list_next(struct slice *list, struct reference *out);

#endif
