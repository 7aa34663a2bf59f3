/* SPDX-License-Identifier: Apache-2.0 */
/* One descriptor of a manifest (image-spec, descriptor.md), read and checked. */
#ifndef OCI_DESCRIPTOR_H
#define OCI_DESCRIPTOR_H

#include "base/jsonio.h"
#include "oci/manifest.h"

struct error;

/* Fills digest, size and is_foreign, not the role. ERR_INVALID; error texts begin with `path`.
 * *out_media_type may be NULL; it is empty when the descriptor has none. */
int descriptor_read(struct jsonio_value value, const char *path, struct descriptor *out,
                    struct slice *out_media_type, struct error *err);
/* `annotations` of anything: absent, null, or an object of strings. ERR_INVALID. */
int annotations_check(struct jsonio_value owner, const char *path, struct error *err);
/* A type of at most 255 printable characters without spaces. */
bool media_type_is_clean(struct slice media_type);

#endif
