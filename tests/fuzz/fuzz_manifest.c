/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: the first byte chooses a Content-Type and whether it is fetched or pushed, the rest is
 * the document. What is accepted has
 * a type that is safe in a header and descriptors that fit its kind. */
#include "base/check.h"
#include "base/error.h"
#include "fuzz/fuzz.h"
#include "oci/manifest.h"

static const char *const content_types[] = {
    "",
    MEDIA_TYPE_OCI_MANIFEST,
    (MEDIA_TYPE_OCI_INDEX "; charset=utf-8"),
    MEDIA_TYPE_DOCKER_MANIFEST,
    MEDIA_TYPE_DOCKER_LIST,
    MEDIA_TYPE_SCHEMA1_SIGNED,
    MEDIA_TYPE_OCI_ARTIFACT,
};

static void check_type(const struct manifest *manifest)
{
    struct slice type = slice_of(manifest->media_type);

    CHECK(manifest->kind == media_kind_of(type) && manifest->kind != MEDIA_UNKNOWN);
    for (size_t i = 0; i < type.length; i++)
        CHECK(type.data[i] > 0x20 && type.data[i] < 0x7f);
}

static void check_descriptors(const struct manifest *manifest)
{
    CHECK(manifest->descriptor_count <= MANIFEST_MAX_DESCRIPTORS + 1);
    for (size_t i = 0; i < manifest->descriptor_count; i++) {
        const struct descriptor *descriptor = &manifest->descriptors[i];

        CHECK((descriptor->role == DESCRIPTOR_CHILD) == (manifest->kind == MEDIA_INDEX));
        CHECK((descriptor->role == DESCRIPTOR_CONFIG) == (manifest->kind == MEDIA_IMAGE && i == 0));
        CHECK(descriptor->digest.algorithm != 0);
        CHECK(manifest->kind == MEDIA_SCHEMA1 ? descriptor->size == DESCRIPTOR_SIZE_UNKNOWN
                                              : descriptor->size <= INT64_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest *manifest = NULL;
    struct error err;
    size_t types = sizeof(content_types) / sizeof(content_types[0]);

    if (size == 0)
        return 0;
    struct slice type = slice_of(content_types[data[0] % types]);
    struct slice bytes = slice_from(data + 1, size - 1);
    bool is_fetched = data[0] >= 128;
    if ((is_fetched ? manifest_parse_fetched(bytes, type, &manifest, &err)
                    : manifest_parse(bytes, type, &manifest, &err)) == 0) {
        CHECK(is_fetched || manifest->kind != MEDIA_SCHEMA1);
        check_type(manifest);
        check_descriptors(manifest);
        manifest_free(&manifest);
    }
    CHECK(!manifest);
    return 0;
}
