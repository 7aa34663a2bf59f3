/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest media types we know (image-spec, media-types.md; Docker schema 2; the artifact
 * manifests of image-spec 1.1's first candidates, which ORAS 1.0 wrote; of upstreams Docker schema
 * 1, without and with signatures). */
#ifndef OCI_MEDIA_TYPE_H
#define OCI_MEDIA_TYPE_H

#include <stdbool.h>

#include "base/slice.h"

#define MEDIA_TYPE_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_TYPE_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define MEDIA_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_TYPE_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_TYPE_OCI_ARTIFACT    "application/vnd.oci.artifact.manifest.v1+json"
#define MEDIA_TYPE_SCHEMA1         "application/vnd.docker.distribution.manifest.v1+json"
#define MEDIA_TYPE_SCHEMA1_SIGNED  "application/vnd.docker.distribution.manifest.v1+prettyjws"
/* The Accept header for upstreams: always all of them. */
#define MEDIA_TYPE_ACCEPT_ALL                                                                      \
    MEDIA_TYPE_OCI_INDEX ", " MEDIA_TYPE_DOCKER_LIST ", " MEDIA_TYPE_OCI_MANIFEST                  \
                         ", " MEDIA_TYPE_DOCKER_MANIFEST ", " MEDIA_TYPE_OCI_ARTIFACT              \
                         ", " MEDIA_TYPE_SCHEMA1_SIGNED ", " MEDIA_TYPE_SCHEMA1
#define MEDIA_TYPE_MAX_LENGTH 255

/* The kind of manifest that a media type means. */
enum media_kind {
    MEDIA_UNKNOWN,
    MEDIA_IMAGE, /* OCI manifest or Docker schema 2 */
    MEDIA_INDEX, /* OCI index or Docker manifest list */
    MEDIA_ARTIFACT,
    MEDIA_SCHEMA1, /* only from upstreams */
};

/* A known manifest type in its usual spelling; other types unchanged. */
struct slice media_type_canonical(struct slice media_type);
/* Parameters after ';' are ignored. */
enum media_kind media_kind_of(struct slice media_type);
/* The type without its parameters and surrounding space. */
struct slice media_type_bare(struct slice media_type);
/* Layers that need not be in a registry: non-distributable and foreign layer types. */
bool media_type_is_foreign_layer(struct slice media_type);

#endif
