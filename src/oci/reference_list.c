/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry after the other:
 *
 *   role (7 bits) + foreign (highest bit) | size (varint) | digest (33 or 65 bytes)
 *
 * This is a format on disk (docs/storage.md): the manifest records of the ledger keep it.
 */
#include "oci/reference_list.h"

#include "base/buf.h"
#include "base/varint.h"
#include "oci/manifest.h"

#define FOREIGN 0x80u

void reference_list_encode(const struct manifest *manifest, struct buf *out)
{
    uint8_t binary[DIGEST_BINARY_MAX];

    for (size_t i = 0; i < manifest->descriptor_count; i++) {
        const struct descriptor *descriptor = &manifest->descriptors[i];
        unsigned head = (unsigned)descriptor->role | (descriptor->is_foreign ? FOREIGN : 0);

        buf_append_byte(out, (char)head);
        varint_append(out, descriptor->size);
        buf_append(out, binary, digest_encode(&descriptor->digest, binary));
    }
}

bool reference_list_next(struct slice *list, struct reference *out)
{
    struct slice rest = *list;
    struct reference reference;

    if (rest.length == 0)
        return false;
    unsigned head = (unsigned char)rest.data[0];
    rest = slice_skip(rest, 1);
    reference.role = (uint8_t)(head & ~FOREIGN);
    reference.is_foreign = (head & FOREIGN) != 0;
    if (reference.role > DESCRIPTOR_CHILD || !varint_cut(&rest, &reference.size) ||
        !digest_decode(&rest, &reference.digest))
        return false;
    *list = rest;
    *out = reference;
    return true;
}
