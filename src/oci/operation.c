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
 * Components are decoded once and never normalised: dots, an encoded '/', backslashes, controls
 * and bytes beyond ASCII are refused wherever they stand. The text buffer is as large as the target
 * from the start, so that slices into it stay right.
 */
#include "oci/operation.h"

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "oci/name.h"
#include "operation_query.h"

/* longer than any valid path, even if each byte of it is encoded: 255 of the name, 136 of a digest,
 * the words between */
#define PATH_MAX_LENGTH 2048

static const struct {
    unsigned methods; /* bits by enum http_method */
    const char *allowed;
} kinds[] = {
    [OPERATION_BASE] = {1u << METHOD_GET | 1u << METHOD_HEAD, "GET, HEAD"},
    [OPERATION_CATALOG] = {1u << METHOD_GET | 1u << METHOD_HEAD, "GET, HEAD"},
    [OPERATION_TAGS] = {1u << METHOD_GET | 1u << METHOD_HEAD, "GET, HEAD"},
    [OPERATION_MANIFEST] = {1u << METHOD_GET | 1u << METHOD_HEAD | 1u << METHOD_PUT |
                                1u << METHOD_DELETE,
                            "GET, HEAD, PUT, DELETE"},
    [OPERATION_BLOB] = {1u << METHOD_GET | 1u << METHOD_HEAD | 1u << METHOD_DELETE,
                        "GET, HEAD, DELETE"},
    [OPERATION_UPLOAD_START] = {1u << METHOD_POST, "POST"},
    [OPERATION_UPLOAD] = {1u << METHOD_GET | 1u << METHOD_HEAD | 1u << METHOD_PATCH |
                              1u << METHOD_PUT | 1u << METHOD_DELETE,
                          "GET, HEAD, PATCH, PUT, DELETE"},
    [OPERATION_REFERRERS] = {1u << METHOD_GET | 1u << METHOD_HEAD, "GET, HEAD"},
};

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
        if (slice_is(method, names[i].name)) {
            return names[i].method;
        }
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

    if (text_percent_decode(text, &operation->text, &why) != 0) {
        return false;
    }
    CHECK(operation->text.data == before && !operation->text.is_over);
    *out = slice_skip(buf_bytes(&operation->text), start);
    return true;
}

/* What no name, tag or digest has and what attackers of paths try. */
static bool component_is_clean(struct slice component)
{
    if (slice_is(component, ".") || slice_is(component, "..")) {
        return false;
    }
    for (size_t i = 0; i < component.length; i++) {
        unsigned char c = (unsigned char)component.data[i];
        if (c < 0x20 || c >= 0x7f || c == '/' || c == '\\' || c == '%') {
            return false;
        }
    }
    return true;
}

/* The decoded path behind "/v2/". */
static int decode_path(struct operation *operation, struct slice raw, struct slice *out,
                       struct api_error *error)
{
    struct slice decoded = {NULL, 0};

    if (raw.length > PATH_MAX_LENGTH) {
        return api_error_set(error, API_NAME_INVALID, "the path is longer than any name may be");
    }
    for (;;) {
        ptrdiff_t slash = slice_find(raw, '/');
        struct slice component = slash < 0 ? raw : slice_from(raw.data, (size_t)slash);
        if (!operation_decode(operation, component, &decoded)) {
            return api_error_set(error, API_NAME_INVALID, "bad percent escape in the path");
        }
        if (!component_is_clean(decoded)) {
            return api_error_set(error, API_NAME_INVALID,
                                 "the path has a component that no name, tag or digest can be");
        }
        if (slash < 0) {
            break;
        }
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

    if (slash < 0) {
        return false;
    }
    *out = slice_skip(*path, (size_t)slash + 1);
    path->length = (size_t)slash;
    return true;
}

struct route {
    enum operation_kind kind;
    struct slice name;
    struct slice last; /* reference, digest or upload id */
};

/* False when the path is none of ours. */
static bool find_route(struct slice path, struct route *out)
{
    struct slice rest = path;
    struct slice last;
    struct slice word;

    if (slice_is(path, "_catalog")) {
        *out = (struct route){.kind = OPERATION_CATALOG};
        return true;
    }
    if (!cut_last(&rest, &last) || !cut_last(&rest, &word)) {
        return false;
    }
    *out = (struct route){.name = rest, .last = last};
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

    if (digest_parse(text, out, &why) != 0) {
        return api_error_set(error, API_DIGEST_INVALID, "%s", why.text);
    }
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
        return api_error_set(error, API_MANIFEST_UNKNOWN, "no tag can be called that");
    }
    return api_error_set(error, API_MANIFEST_INVALID,
                         "not a tag: letters, digits, '_', '.' and '-', at most %d, and neither "
                         "'.' nor '-' first",
                         TAG_MAX_LENGTH);
}

static int check_method(struct operation *out, struct api_error *error)
{
    if ((kinds[out->kind].methods & 1u << out->method) == 0) {
        return api_error_set(error, API_UNSUPPORTED, "this address has %s only",
                             kinds[out->kind].allowed);
    }
    return 0;
}

static int apply_route(struct operation *out, const struct route *route, struct api_error *error)
{
    out->kind = route->kind;
    if (check_method(out, error) != 0) {
        return -1;
    }
    if (route->kind == OPERATION_CATALOG) {
        return 0;
    }
    if (!name_is_valid(route->name)) {
        return api_error_set(error, API_NAME_INVALID,
                             "not a repository name: lower-case letters, digits and separators, at "
                             "most %d bytes",
                             NAME_MAX_LENGTH);
    }
    out->name = route->name;
    if (route->kind == OPERATION_MANIFEST) {
        return parse_reference(out, route->last, error);
    }
    if (route->kind == OPERATION_BLOB || route->kind == OPERATION_REFERRERS) {
        return parse_digest(route->last, &out->digest, error);
    }
    if (route->kind == OPERATION_UPLOAD) {
        out->upload_id = route->last;
    }
    return 0;
}

static int parse_path(struct operation *out, struct slice path, struct api_error *error)
{
    struct slice decoded = {NULL, 0};
    struct route route = {.kind = OPERATION_BASE};

    /* "/" is where probes written for the reference registry look */
    if (slice_is(path, "/v2/") || slice_is(path, "/v2") || slice_is(path, "/")) {
        out->kind = OPERATION_BASE;
        return check_method(out, error);
    }
    if (slice_starts_with(path, "/v2/")) {
        if (decode_path(out, slice_skip(path, 4), &decoded, error) != 0) {
            return -1;
        }
        if (find_route(decoded, &route)) {
            return apply_route(out, &route, error);
        }
    }
    return api_error_set_status(error, API_UNSUPPORTED, 404, "nothing of the API has this address");
}

int operation_parse(struct operation *out, struct slice method, struct slice target,
                    const struct operation_limits *limits, struct api_error *error)
{
    ptrdiff_t mark = slice_find(target, '?');
    struct slice path = mark < 0 ? target : slice_from(target.data, (size_t)mark);

    *out = (struct operation){.method = http_method_parse(method)};
    buf_init(&out->text, target.length + 1);
    if (!http_method_is_known(method)) {
        return api_error_set_status(error, API_UNSUPPORTED, 501, "unknown method");
    }
    if (buf_reserve(&out->text, target.length + 1) == NULL) {
        return api_error_set_status(error, API_UNAVAILABLE, 503, "no memory");
    }
    if (parse_path(out, path, error) != 0) {
        return -1;
    }
    if (mark < 0) {
        return 0;
    }
    out->query = slice_skip(target, (size_t)mark + 1);
    return operation_parse_query(out, limits, error);
}

void operation_cleanup(struct operation *operation)
{
    buf_cleanup(&operation->text);
}

const char *operation_allowed(enum operation_kind kind)
{
    return kinds[kind].allowed;
}

static const char *manifest_label(enum http_method method)
{
    if (method == METHOD_PUT) {
        return "push_manifest";
    }
    if (method == METHOD_DELETE) {
        return "delete_manifest";
    }
    return method == METHOD_HEAD ? "head_manifest" : "pull_manifest";
}

static const char *blob_label(enum http_method method)
{
    if (method == METHOD_DELETE) {
        return "delete_blob";
    }
    return method == METHOD_HEAD ? "head_blob" : "pull_blob";
}

static const char *upload_label(enum http_method method)
{
    if (method == METHOD_PATCH) {
        return "push_chunk";
    }
    if (method == METHOD_PUT) {
        return "push_blob";
    }
    return method == METHOD_DELETE ? "cancel_upload" : "upload_status";
}

const char *operation_label(const struct operation *operation)
{
    switch (operation->kind) {
    case OPERATION_BASE:
        return "base";
    case OPERATION_CATALOG:
        return "catalog";
    case OPERATION_TAGS:
        return "list_tags";
    case OPERATION_MANIFEST:
        return manifest_label(operation->method);
    case OPERATION_BLOB:
        return blob_label(operation->method);
    case OPERATION_UPLOAD_START:
        return "start_upload";
    case OPERATION_UPLOAD:
        return upload_label(operation->method);
    case OPERATION_REFERRERS:
        return "list_referrers";
    }
    UNREACHABLE();
}
