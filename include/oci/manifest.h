/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image manifests and image indexes (image-spec, manifest.md and image-index.md), OCI and Docker
 * schema 2, OCI artifact manifests, and Docker schema 1 of upstreams. They are only read: their
 * bytes are stored and served as they came.
 */
#ifndef OCI_MANIFEST_H
#define OCI_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"
#include "oci/media_type.h"

struct error;

#define MANIFEST_MAX_SIZE        4194304u /* 4 MiB */
#define MANIFEST_MAX_DESCRIPTORS 10000
/* A descriptor has about 7 JSON values with a platform, and more with annotations. */
#define MANIFEST_MAX_VALUES 150000

/* What a descriptor is to the manifest that names it. */
enum descriptor_role {
    DESCRIPTOR_CONFIG,
    DESCRIPTOR_LAYER, /* a blob of an artifact too */
    DESCRIPTOR_CHILD, /* a manifest named by an index */
};

#define DESCRIPTOR_SIZE_UNKNOWN UINT64_MAX /* of the layers of schema 1 */

/* Something that a manifest names. */
struct descriptor {
    enum descriptor_role role;
    struct digest digest;
    uint64_t size;
    bool is_foreign; /* need not be in the registry */
};

struct manifest {
    enum media_kind kind;
    char *media_type;    /* to be answered as Content-Type */
    bool is_typed;       /* the document itself says so: the same bytes have no other type */
    char *artifact_type; /* NULL if there is none; falls back to the config's media type */
    struct descriptor *descriptors; /* config, layers or children, in the order of the document */
    size_t descriptor_count;
    bool has_subject;
    struct digest subject;
};

/* `content_type` is the header's, or empty. ERR_INVALID with the path of the bad field;
 * ERR_TOO_LARGE; ERR_UNSUPPORTED (schema 1, unknown type). Refused: no media type anywhere,
 * Content-Type against mediaType, both `manifests` and `layers`/`config`, duplicate keys. `layers`
 * may be null, which Docker writes for an image without layers. The
 * caller frees *out with manifest_free. */
int manifest_parse(struct slice bytes, struct slice content_type, struct manifest **out,
                   struct error *err);
/* The same for what an upstream answered. The document's own mediaType decides; without one the
 * Content-Type does if it is that of a manifest, else its members. A list may be missing. Schema 1
 * is read too, for its layers: nothing else in it is looked at. */
int manifest_parse_fetched(struct slice bytes, struct slice content_type, struct manifest **out,
                           struct error *err);
void manifest_free(struct manifest **manifest);

#endif
