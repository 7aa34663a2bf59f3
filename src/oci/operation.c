/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of a request, parsed from its right end:
 *
 *   /v2/  team/app   /manifests/  v1        MANIFEST
 *   /v2/  team/app   /blobs/  sha256:…      BLOB
 *   /v2/  team/app   /blobs/uploads/  [ID]  UPLOAD, UPLOAD_START without an id
 *   /v2/  team/app   /referrers/  sha256:…  REFERRERS
 *   /v2/  team/app   /tags/list             TAGS
 *
 * Components are decoded once and never normalised: dots, backslashes, controls and bytes beyond
 * ASCII are refused wherever they stand, an encoded '/' everywhere but in a name. The text buffer
 * is as large as the target from the start, so that slices into it stay valid.
 */
#include "oci/operation.h"

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "oci/name.h"
#include "operation_query.h"

/* Longer than any valid path, even if each of its bytes is encoded: 255 of the name, 136 of a
 * digest, the words between them. */
#define PATH_MAX_LENGTH 2048

enum http_method http_method_parse(struct slice method)
{
    static const struct {
        const char *name;
        enum http_method method;
    } names[] = {
        {"GET", METHOD_GET},         {"HEAD", METHOD_HEAD},   {"POST", METHOD_POST},
        {"PUT", METHOD_PUT},         {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
        {"OPTIONS", METHOD_OPTIONS},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_is(method, names[i].name))
            return names[i].method;
    }
    return METHOD_OTHER;
}

bool http_method_is_known(struct slice method)
{
    return http_method_parse(method) != METHOD_OTHER || slice_is(method, "TRACE") ||
           slice_is(method, "CONNECT");
}

bool operation_decode(struct operation *operation, struct slice text, struct slice *out)
{
    struct error why;
    const char *before = operation->text.data;
    size_t start = operation->text.length;

    if (text_percent_decode(text, &operation->text, &why) != 0)
        return false;
    CHECK(operation->text.data == before && !operation->text.is_over);
    *out = slice_skip(buf_bytes(&operation->text), start);
    return true;
}

/* No name, tag or digest has these bytes; attacks on paths do. */
static bool part_is_clean(struct slice component)
{
    if (slice_is(component, ".") || slice_is(component, ".."))
        return false;
    for (size_t i = 0; i < component.length; i++) {
        unsigned char c = (unsigned char)component.data[i];

        if (c < 0x20 || c >= 0x7f || c == '\\' || c == '%')
            return false;
    }
    return true;
}

/* A component of a name may have an encoded '/' in it: some clients encode a name as a whole. */
static bool component_is_clean(struct slice component)
{
    struct slice part;

    while (slice_split(&component, '/', &part)) {
        if (!part_is_clean(part))
            return false;
    }
    return true;
}

/* Decodes the path after "/v2/". *out_joined: where the last encoded '/' stands in it, -1: none. */
static int decode_path(struct operation *operation, struct slice raw, struct slice *out,
                       ptrdiff_t *out_joined, struct api_error *error)
{
    struct slice decoded = {NULL, 0};

    *out_joined = -1;
    if (raw.length > PATH_MAX_LENGTH)
        return api_error_set(error, API_NAME_INVALID, "the path is longer than any name may be");
    for (;;) {
        ptrdiff_t slash = slice_find(raw, '/');
        struct slice component = slash < 0 ? raw : slice_from(raw.data, (size_t)slash);

        if (!operation_decode(operation, component, &decoded)) {
            return api_error_set(error, API_NAME_INVALID,
                                 "bad percent escape in the path; %% itself is written %%25");
        }
        if (!component_is_clean(decoded)) {
            return api_error_set(error, API_NAME_INVALID,
                                 "the path has a component that no name, tag or digest can be");
        }
        if (slice_find(decoded, '/') >= 0) {
            *out_joined = (ptrdiff_t)(operation->text.length - decoded.length) +
                          slice_find_last(decoded, '/');
        }
        if (slash < 0)
            break;
        buf_append_byte(&operation->text, '/');
        raw = slice_skip(raw, (size_t)slash + 1);
    }
    *out = buf_bytes(&operation->text);
    return 0;
}

/* Cuts the last component off *path, with the slash before it. False if there is no slash. */
static bool cut_last(struct slice *path, struct slice *out)
{
    ptrdiff_t slash = slice_find_last(*path, '/');

    if (slash < 0)
        return false;
    *out = slice_skip(*path, (size_t)slash + 1);
    path->length = (size_t)slash;
    return true;
}

/* Returns false when no operation has this path. */
static bool find_kind(struct slice path, struct operation *out)
{
    struct slice rest = path;
    struct slice last;
    struct slice word;

    if (slice_is(path, "_catalog")) {
        out->kind = OPERATION_CATALOG;
        return true;
    }
    if (!cut_last(&rest, &last) || !cut_last(&rest, &word))
        return false;
    out->name = rest;
    out->reference = last;
    if (slice_is(word, "manifests")) {
        out->kind = OPERATION_MANIFEST;
        return true;
    }
    if (slice_is(word, "blobs")) {
        out->kind = slice_is(last, "uploads") ? OPERATION_UPLOAD_START : OPERATION_BLOB;
        return true;
    }
    if (slice_is(word, "referrers")) {
        out->kind = OPERATION_REFERRERS;
        return true;
    }
    if (slice_is(word, "tags") && slice_is(last, "list")) {
        out->kind = OPERATION_TAGS;
        return true;
    }
    struct slice before;
    if (slice_is(word, "uploads") && cut_last(&rest, &before) && slice_is(before, "blobs")) {
        out->kind = last.length == 0 ? OPERATION_UPLOAD_START : OPERATION_UPLOAD;
        out->name = rest;
        return true;
    }
    return false;
}

static int parse_digest(struct slice text, struct digest *out, struct api_error *error)
{
    struct error why;

    if (digest_parse(text, out, &why) != 0)
        return api_error_set(error, API_DIGEST_INVALID, "%s", why.text);
    return 0;
}

static int parse_reference(struct operation *out, struct slice reference, struct api_error *error)
{
    if (slice_find(reference, ':') >= 0) {
        out->by_digest = true;
        return parse_digest(reference, &out->digest, error);
    }
    if (tag_is_valid(reference)) {
        out->tag = reference;
        return 0;
    }
    if (out->method == METHOD_GET || out->method == METHOD_HEAD) {
        return api_error_set(
            error, API_MANIFEST_UNKNOWN,
            "no tag can be called that: tags have letters, digits, '_', '.' and '-'");
    }
    return api_error_set(error, API_MANIFEST_INVALID,
                         "not a tag: letters, digits, '_', '.' and '-', at most %d, and neither "
                         "'.' nor '-' first",
                         TAG_MAX_LENGTH);
}

int operation_parse_address(struct operation *out, enum http_method method, struct slice target,
                            struct api_error *error)
{
    ptrdiff_t mark = slice_find(target, '?');
    struct slice path = mark < 0 ? target : slice_from(target.data, (size_t)mark);
    struct slice decoded = {NULL, 0};
    ptrdiff_t joined;

    *out = (struct operation){.kind = OPERATION_BASE, .method = method};
    out->query = mark < 0 ? slice_of("") : slice_skip(target, (size_t)mark + 1);
    buf_init(&out->text, target.length + 1);
    if (!buf_reserve(&out->text, target.length + 1))
        return api_error_set_status(error, API_UNAVAILABLE, 503, "no memory");
    /* Probes written for the reference registry ask for "/". */
    if (slice_is(path, "/v2/") || slice_is(path, "/v2") || slice_is(path, "/"))
        return 0;
    if (slice_starts_with(path, "/v2/")) {
        if (decode_path(out, slice_skip(path, 4), &decoded, &joined, error) != 0)
            return -1;
        bool is_found = find_kind(decoded, out);
        if (joined >= 0 && (!is_found || (size_t)joined >= out->name.length))
            return api_error_set(error, API_NAME_INVALID, "only a name may have an encoded slash");
        if (is_found)
            return 0;
    }
    return api_error_set_status(error, API_UNSUPPORTED, 404, "nothing of the API has this address");
}

static int parse_name(const struct operation *operation, struct api_error *error)
{
    if (name_is_valid(operation->name))
        return 0;
    return api_error_set(error, API_NAME_INVALID,
                         "not a repository name: lower-case letters, digits and separators, at "
                         "most %d bytes",
                         NAME_MAX_LENGTH);
}

static int parse_parts(struct operation *operation, struct api_error *error)
{
    switch (operation->kind) {
    case OPERATION_BASE:
    case OPERATION_CATALOG:
        return 0;
    case OPERATION_TAGS:
    case OPERATION_UPLOAD_START:
        return parse_name(operation, error);
    case OPERATION_UPLOAD:
        operation->upload_id = operation->reference;
        return parse_name(operation, error);
    case OPERATION_MANIFEST:
        if (parse_name(operation, error) != 0)
            return -1;
        return parse_reference(operation, operation->reference, error);
    case OPERATION_BLOB:
    case OPERATION_REFERRERS:
        if (parse_name(operation, error) != 0)
            return -1;
        return parse_digest(operation->reference, &operation->digest, error);
    }
    UNREACHABLE();
}

int operation_parse_rest(struct operation *operation, const struct operation_limits *limits,
                         struct api_error *error)
{
    if (parse_parts(operation, error) != 0)
        return -1;
    return operation_parse_query(operation, limits, error);
}

void operation_cleanup(struct operation *operation)
{
    buf_cleanup(&operation->text);
}
