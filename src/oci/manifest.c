/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests. Two readers must never see two different images in one document. So its kind is
 * established before anything else is read: the media type inside and the Content-Type outside must
 * agree, and an image must have no field of an index, nor an index one of an image.
 */
#include "oci/manifest.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/jsonio.h"
#include "descriptor.h"

#define PATH_SIZE 40 /* "manifests[9999]." */

static bool is_present(struct jsonio_value object, const char *key)
{
    return jsonio_type(jsonio_member(object, key)) != JSONIO_ABSENT;
}

/* The type that both places name; *out is borrowed from one of them. */
static int agree_on_type(struct jsonio_value root, struct slice content_type, struct slice *out,
                         struct error *err)
{
    struct jsonio_value member = jsonio_member(root, "mediaType");
    struct slice outer = media_type_bare(content_type);
    struct slice inner = jsonio_string(member);

    if (jsonio_type(member) != JSONIO_ABSENT && jsonio_type(member) != JSONIO_STRING)
        return error_set(err, ERR_INVALID, "mediaType: expected a string");
    if (inner.length == 0 && outer.length == 0)
        return error_set(err, ERR_INVALID, "mediaType: missing, and there is no Content-Type");
    struct slice chosen = inner.length > 0 ? inner : outer;
    if (!media_type_is_clean(chosen) || slice_find(chosen, ';') >= 0)
        return error_set(err, ERR_INVALID, "mediaType: not a media type");
    if (media_kind_of(chosen) == MEDIA_UNKNOWN) {
        return error_set(err, ERR_UNSUPPORTED, "mediaType: %.*s is not a known manifest type",
                         SLICE_PRINT(chosen));
    }
    if (inner.length > 0 && outer.length > 0) {
        AUTO_FREE char *text = slice_dup(outer);

        if (!slice_is_nocase(inner, text))
            return error_set(err, ERR_INVALID, "mediaType: differs from Content-Type");
    }
    *out = chosen;
    return 0;
}

/* What fields no manifest of the kind has, because another kind has them. */
static const struct kind_fields {
    const char *name;
    const char *unwanted[5];
    unsigned version;
} kind_fields[] = {
    [MEDIA_IMAGE] = {"image manifest", {"manifests", "fsLayers"}, 2},
    [MEDIA_INDEX] = {"image index", {"config", "layers", "fsLayers"}, 2},
    [MEDIA_ARTIFACT] = {"artifact manifest", {"manifests", "config", "layers", "fsLayers"}, 0},
    [MEDIA_SCHEMA1] = {"image of schema 1", {"manifests", "config", "layers"}, 1},
};

static int check_fields(struct jsonio_value root, enum media_kind kind, struct error *err)
{
    const struct kind_fields *fields = &kind_fields[kind];
    uint64_t version = 0;

    for (size_t i = 0; fields->unwanted[i]; i++) {
        if (is_present(root, fields->unwanted[i])) {
            return error_set(err, ERR_INVALID, "%s: does not belong in an %s", fields->unwanted[i],
                             fields->name);
        }
    }
    if (fields->version == 0) /* it has no schemaVersion */
        return 0;
    if (jsonio_u64(jsonio_member(root, "schemaVersion"), &version) && version == fields->version)
        return 0;
    if (version == 1)
        return error_set(err, ERR_UNSUPPORTED, "schemaVersion: 1 is not supported, expected 2");
    return error_set(err, ERR_INVALID, "schemaVersion: expected %u", fields->version);
}

static int read_config(struct jsonio_value root, struct manifest *out, struct slice *out_media_type,
                       struct error *err)
{
    struct descriptor *place = &out->descriptors[out->descriptor_count];

    if (descriptor_read(jsonio_member(root, "config"), "config.", place, out_media_type, err) != 0)
        return -(int)err->kind;
    place->role = DESCRIPTOR_CONFIG;
    place->is_foreign = false;
    out->descriptor_count++;
    return 0;
}

static int read_list(struct jsonio_value list, const char *key, enum descriptor_role role,
                     struct manifest *out, struct error *err)
{
    size_t count = jsonio_length(list);

    for (size_t i = 0; i < count; i++) {
        struct descriptor *place = &out->descriptors[out->descriptor_count];
        char path[PATH_SIZE];

        if (snprintf(path, sizeof(path), "%s[%zu].", key, i) < 0)
            path[0] = '\0';
        if (descriptor_read(jsonio_element(list, i), path, place, NULL, err) != 0)
            return -(int)err->kind;
        place->role = role;
        place->is_foreign = place->is_foreign && role == DESCRIPTOR_LAYER;
        out->descriptor_count++;
    }
    return 0;
}

/* Allocates room for all descriptors, after checking that the list is an array and not too long.
 * `may_lack`: it may be null or missing. */
static int make_room(struct jsonio_value list, const char *key, bool may_lack, struct manifest *out,
                     struct error *err)
{
    enum jsonio_type type = jsonio_type(list);
    bool is_lacking = type == JSONIO_NULL || type == JSONIO_ABSENT;

    if (type != JSONIO_ARRAY && !(is_lacking && may_lack))
        return error_set(err, ERR_INVALID, "%s: expected an array", key);
    size_t count = is_lacking ? 0 : jsonio_length(list);
    if (count > MANIFEST_MAX_DESCRIPTORS)
        return error_set(err, ERR_INVALID, "%s: more than %d", key, MANIFEST_MAX_DESCRIPTORS);
    out->descriptors = (struct descriptor *)mem_try_alloc((count + 1) * sizeof(struct descriptor));
    if (!out->descriptors)
        return error_set(err, ERR_NO_MEMORY, "no memory for a manifest");
    return 0;
}

static int read_image(struct jsonio_value root, bool is_fetched, struct manifest *out,
                      struct slice *config_type, struct error *err)
{
    struct jsonio_value layers = jsonio_member(root, "layers");
    bool may_lack = is_fetched || jsonio_type(layers) == JSONIO_NULL;
    int rc = make_room(layers, "layers", may_lack, out, err);

    if (rc == 0)
        rc = read_config(root, out, config_type, err);
    if (rc == 0)
        rc = read_list(layers, "layers", DESCRIPTOR_LAYER, out, err);
    return rc;
}

static int read_artifact(struct jsonio_value root, struct manifest *out, struct error *err)
{
    struct jsonio_value blobs = jsonio_member(root, "blobs");
    int rc = make_room(blobs, "blobs", true, out, err);

    return rc != 0 ? rc : read_list(blobs, "blobs", DESCRIPTOR_LAYER, out, err);
}

static int read_index(struct jsonio_value root, bool is_fetched, struct manifest *out,
                      struct error *err)
{
    struct jsonio_value children = jsonio_member(root, "manifests");
    bool may_lack = is_fetched || jsonio_type(children) == JSONIO_NULL;
    int rc = make_room(children, "manifests", may_lack, out, err);

    return rc != 0 ? rc : read_list(children, "manifests", DESCRIPTOR_CHILD, out, err);
}

/* It names a layer once for every step of its history, and says no sizes. */
static int read_schema1(struct jsonio_value root, struct manifest *out, struct error *err)
{
    struct jsonio_value layers = jsonio_member(root, "fsLayers");
    int rc = make_room(layers, "fsLayers", false, out, err);

    for (size_t i = 0; rc == 0 && i < jsonio_length(layers); i++) {
        struct slice text = jsonio_string(jsonio_member(jsonio_element(layers, i), "blobSum"));
        struct descriptor *place = &out->descriptors[out->descriptor_count++];

        *place = (struct descriptor){.role = DESCRIPTOR_LAYER, .size = DESCRIPTOR_SIZE_UNKNOWN};
        rc = digest_parse(text, &place->digest, err);
        if (rc != 0)
            error_wrap(err, "fsLayers[%zu].blobSum", i);
    }
    return rc;
}

static int read_subject(struct jsonio_value root, struct manifest *out, struct error *err)
{
    struct jsonio_value subject = jsonio_member(root, "subject");
    enum jsonio_type type = jsonio_type(subject);
    struct descriptor descriptor;

    if (type == JSONIO_ABSENT || type == JSONIO_NULL)
        return 0;
    int rc = descriptor_read(subject, "subject.", &descriptor, NULL, err);
    if (rc == 0) {
        out->has_subject = true;
        out->subject = descriptor.digest;
    }
    return rc;
}

static int read_artifact_type(struct jsonio_value root, struct slice config_type,
                              struct manifest *out, struct error *err)
{
    struct jsonio_value member = jsonio_member(root, "artifactType");
    enum jsonio_type type = jsonio_type(member);
    struct slice text = jsonio_string(member);

    if (type != JSONIO_ABSENT && type != JSONIO_NULL &&
        (type != JSONIO_STRING || (text.length > 0 && !media_type_is_clean(text))))
        return error_set(err, ERR_INVALID, "artifactType: not a media type");
    if (text.length == 0)
        text = config_type;
    out->artifact_type = text.length > 0 ? slice_dup(text) : NULL;
    return 0;
}

/* What a document without any usable type is by its members; "": nothing that we know. */
static struct slice guess_type(struct jsonio_value root)
{
    struct slice config = jsonio_string(jsonio_member(jsonio_member(root, "config"), "mediaType"));

    if (jsonio_type(jsonio_member(root, "fsLayers")) == JSONIO_ARRAY) {
        return slice_of(is_present(root, "signatures") ? MEDIA_TYPE_SCHEMA1_SIGNED
                                                       : MEDIA_TYPE_SCHEMA1);
    }
    if (jsonio_type(jsonio_member(root, "manifests")) == JSONIO_ARRAY)
        return SLICE_LITERAL(MEDIA_TYPE_OCI_INDEX);
    if (slice_starts_with(config, "application/vnd.docker."))
        return SLICE_LITERAL(MEDIA_TYPE_DOCKER_MANIFEST);
    return slice_of(config.length > 0 ? MEDIA_TYPE_OCI_MANIFEST : "");
}

/* Is it by its members what a Content-Type of this kind says? Nobody reads an index in an image. */
static bool fits(struct jsonio_value root, enum media_kind kind)
{
    bool is_schema1 = jsonio_type(jsonio_member(root, "fsLayers")) == JSONIO_ARRAY;
    bool is_index = jsonio_type(jsonio_member(root, "manifests")) == JSONIO_ARRAY;
    bool is_image = is_present(root, "config") || is_present(root, "layers");

    if (kind == MEDIA_UNKNOWN || (kind == MEDIA_SCHEMA1) != is_schema1)
        return false;
    return kind == MEDIA_INDEX ? !is_image || is_index : !is_index || is_image;
}

/* Upstreams that keep manifests as plain files label them as text or JSON, or all of them alike. */
static struct slice fetched_type(struct jsonio_value root, struct slice content_type)
{
    struct slice inner = jsonio_string(jsonio_member(root, "mediaType"));

    if (inner.length > 0)
        return inner;
    return fits(root, media_kind_of(content_type)) ? content_type : guess_type(root);
}

static int read_members(struct jsonio_value root, bool is_fetched, struct manifest *out,
                        struct slice *config_type, struct error *err)
{
    if (out->kind == MEDIA_INDEX)
        return read_index(root, is_fetched, out, err);
    if (out->kind == MEDIA_ARTIFACT)
        return read_artifact(root, out, err);
    if (out->kind == MEDIA_SCHEMA1)
        return read_schema1(root, out, err);
    return read_image(root, is_fetched, out, config_type, err);
}

static int read_document(struct jsonio_value root, struct slice content_type, bool is_fetched,
                         struct manifest *out, struct error *err)
{
    struct slice media_type = {NULL, 0};
    struct slice config_type = {NULL, 0};

    if (jsonio_type(root) != JSONIO_OBJECT)
        return error_set(err, ERR_INVALID, "a manifest is a JSON object");
    if (is_fetched) {
        content_type = fetched_type(root, content_type);
        if (content_type.length == 0 && !is_present(root, "mediaType")) {
            return error_set(err, ERR_UNSUPPORTED,
                             "neither mediaType nor Content-Type nor members of a manifest");
        }
    }
    int rc = agree_on_type(root, content_type, &media_type, err);
    if (rc != 0)
        return rc;
    out->kind = media_kind_of(media_type);
    if (out->kind == MEDIA_SCHEMA1 && !is_fetched) {
        return error_set(err, ERR_UNSUPPORTED,
                         "mediaType: Docker schema 1 cannot be pushed; push the image with Docker "
                         "1.10 or later");
    }
    out->media_type = slice_dup(media_type_canonical(media_type));
    out->is_typed = is_present(root, "mediaType");
    rc = check_fields(root, out->kind, err);
    if (rc == 0)
        rc = read_members(root, is_fetched, out, &config_type, err);
    if (rc == 0)
        rc = read_subject(root, out, err);
    if (rc == 0)
        rc = read_artifact_type(root, config_type, out, err);
    return rc != 0 ? rc : annotations_check(root, "", err);
}

static int parse_document(struct slice bytes, struct slice content_type, bool is_fetched,
                          struct manifest **out, struct error *err)
{
    AUTO_JSONIO struct jsonio *document = NULL;

    if (bytes.length > MANIFEST_MAX_SIZE)
        return error_set(err, ERR_TOO_LARGE, "a manifest has at most %u bytes", MANIFEST_MAX_SIZE);
    if (jsonio_parse_long(bytes, MANIFEST_MAX_VALUES, &document, err) != 0) {
        if (err->kind == ERR_TOO_LARGE)
            err->kind = ERR_INVALID; /* too many values or too deep, not too many bytes */
        return -(int)err->kind;
    }
    struct manifest *manifest = NEW(struct manifest);
    int rc = read_document(jsonio_root(document), content_type, is_fetched, manifest, err);
    if (rc != 0) {
        manifest_free(&manifest);
        return rc;
    }
    *out = manifest;
    return 0;
}

int manifest_parse(struct slice bytes, struct slice content_type, struct manifest **out,
                   struct error *err)
{
    return parse_document(bytes, content_type, false, out, err);
}

int manifest_parse_fetched(struct slice bytes, struct slice content_type, struct manifest **out,
                           struct error *err)
{
    return parse_document(bytes, content_type, true, out, err);
}

void manifest_free(struct manifest **manifest)
{
    if (!*manifest)
        return;
    mem_free((*manifest)->media_type);
    mem_free((*manifest)->artifact_type);
    mem_free((*manifest)->descriptors);
    mem_free(*manifest);
    *manifest = NULL;
}
