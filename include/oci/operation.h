/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which API operation on what a request means: method and target in, one struct out. Pure. Names,
 * tags and digests are checked here; nothing behind this sees one that is not valid. The name is
 * parsed from the right end, so that components called "blobs" or "manifests" are names like
 * others.
 */
#ifndef OCI_OPERATION_H
#define OCI_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "oci/api_error.h"
#include "oci/digest.h"

/* Methods we know; every other is OTHER. */
enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER,
};

/* What a path is about. */
enum operation_kind {
    OPERATION_BASE,         /* /v2/, and / for probes */
    OPERATION_CATALOG,      /* /v2/_catalog */
    OPERATION_TAGS,         /* /v2/NAME/tags/list */
    OPERATION_MANIFEST,     /* /v2/NAME/manifests/REFERENCE */
    OPERATION_BLOB,         /* /v2/NAME/blobs/DIGEST */
    OPERATION_UPLOAD_START, /* /v2/NAME/blobs/uploads/ */
    OPERATION_UPLOAD,       /* /v2/NAME/blobs/uploads/ID */
    OPERATION_REFERRERS,    /* /v2/NAME/referrers/DIGEST */
};

#define OPERATION_TAGS_MAX 10

struct operation {
    enum operation_kind kind;
    enum http_method method;
    struct slice name;      /* as the client wrote it, valid; empty for BASE and CATALOG */
    bool by_digest;         /* MANIFEST: the reference is a digest */
    struct slice tag;       /* MANIFEST by tag */
    struct digest digest;   /* BLOB, REFERRERS, MANIFEST by digest */
    struct slice upload_id; /* UPLOAD */

    /* query; the has_ flags tell an empty value from none */
    bool has_ns, has_n, has_last, has_digest, has_mount, has_from;
    struct slice ns; /* lower-cased */
    uint64_t n;      /* clamped to UINT32_MAX */
    struct slice last;
    struct digest digest_query; /* ?digest= */
    struct digest mount;
    struct slice from;
    struct slice artifact_type;
    struct slice tags[OPERATION_TAGS_MAX]; /* ?tag= of a push by digest */
    unsigned tag_count;

    struct slice query; /* raw, as it came; points into the target */
    struct buf text;    /* what the other slices point into */
};

/* What a query may have before it is refused. */
struct operation_limits {
    unsigned parameters;
    unsigned tags; /* up to OPERATION_TAGS_MAX */
};

/* One of RFC 9110 9.3, or PATCH. Case matters. */
bool http_method_is_known(struct slice method);
/* Those that the API has. */
enum http_method http_method_parse(struct slice method);
/* `target` is in origin form, with its query. 0, or -1 with *error: 404 for a path that is none of
 * ours, 405 UNSUPPORTED for a method it does not have (operation_allowed gives the Allow header),
 * 400 NAME_INVALID, DIGEST_INVALID, PAGINATION_NUMBER_INVALID. The caller calls operation_cleanup
 * in both cases. */
int operation_parse(struct operation *out, struct slice method, struct slice target,
                    const struct operation_limits *limits, struct api_error *error);
/* Frees what operation_parse took; safe on a zeroed struct. */
void operation_cleanup(struct operation *operation);
/* Append what of the raw query is no parameter of the API, each with a '&' before it: pages of some
 * upstreams have names of their own (next_page=…). */
void operation_print_others(const struct operation *operation, struct buf *out);
/* "GET, HEAD" */
const char *operation_allowed(enum operation_kind kind);
/* "pull_blob", "push_manifest": for the access log and metrics. */
const char *operation_label(const struct operation *operation);

#endif
