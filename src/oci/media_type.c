/* SPDX-License-Identifier: Apache-2.0 */
/* Which media type means which kind of manifest. Types are compared ignoring case (RFC 6838). */
#include "oci/media_type.h"

#include <stddef.h>

struct slice media_type_bare(struct slice media_type)
{
    ptrdiff_t semicolon = slice_find(media_type, ';');

    if (semicolon >= 0)
        media_type.length = (size_t)semicolon;
    return slice_trim(media_type);
}

struct slice media_type_canonical(struct slice media_type)
{
    static const char *const known[] = {MEDIA_TYPE_OCI_MANIFEST,  MEDIA_TYPE_DOCKER_MANIFEST,
                                        MEDIA_TYPE_OCI_INDEX,     MEDIA_TYPE_DOCKER_LIST,
                                        MEDIA_TYPE_OCI_ARTIFACT,  MEDIA_TYPE_SCHEMA1,
                                        MEDIA_TYPE_SCHEMA1_SIGNED};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (slice_is_nocase(media_type, known[i]))
            return slice_of(known[i]);
    }
    return media_type;
}

enum media_kind media_kind_of(struct slice media_type)
{
    struct slice bare = media_type_bare(media_type);

    if (slice_is_nocase(bare, MEDIA_TYPE_OCI_MANIFEST) ||
        slice_is_nocase(bare, MEDIA_TYPE_DOCKER_MANIFEST))
        return MEDIA_IMAGE;
    if (slice_is_nocase(bare, MEDIA_TYPE_OCI_INDEX) ||
        slice_is_nocase(bare, MEDIA_TYPE_DOCKER_LIST))
        return MEDIA_INDEX;
    if (slice_is_nocase(bare, MEDIA_TYPE_OCI_ARTIFACT))
        return MEDIA_ARTIFACT;
    if (slice_is_nocase(bare, MEDIA_TYPE_SCHEMA1) ||
        slice_is_nocase(bare, MEDIA_TYPE_SCHEMA1_SIGNED))
        return MEDIA_SCHEMA1;
    return MEDIA_UNKNOWN;
}

bool media_type_is_foreign_layer(struct slice media_type)
{
    static const char *const foreign[] = {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    };
    struct slice bare = media_type_bare(media_type);

    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (slice_is_nocase(bare, foreign[i]))
            return true;
    }
    return false;
}
