/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address under /v2/ is about: a target in, one struct out. Pure. It is parsed in two
 * steps, so that the caller can refuse a method between them: first which kind of address it is,
 * then its parts and its query. Names, tags and digests are checked in the second; no code after
 * it sees one that is not valid. The name is parsed from the right end, so that components called
 * "blobs" or "manifests" are names like others. Which methods an address has, and what they do, is
 * in the worker's table of endpoints.
 */
#ifndef OCI_OPERATION_H
#define OCI_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "oci/api_error.h"
#include "oci/digest.h"

/* The methods of the API; all others are OTHER. */
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

/* What an address is about. */
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
    struct slice name;      /* as the client wrote it; empty for BASE and CATALOG */
    struct slice reference; /* the last component, as the client wrote it */
    bool by_digest;         /* MANIFEST: the reference is a digest */
    struct slice tag;       /* MANIFEST by tag */
    struct digest digest;   /* BLOB, REFERRERS, MANIFEST by digest */
    struct slice upload_id; /* UPLOAD */

    /* The query. The has_ flags tell an empty value from no parameter. */
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

    struct slice query; /* raw, as the client sent it; points into the target */
    struct buf text;    /* the other slices point into it */
};

/* A query with more than this is refused. */
struct operation_limits {
    unsigned parameters;
    unsigned tags; /* up to OPERATION_TAGS_MAX */
};

/* One of RFC 9110 9.3, or PATCH. Methods are case-sensitive. */
bool http_method_is_known(struct slice method);
/* METHOD_OTHER for a method that the API does not have. */
enum http_method http_method_parse(struct slice method);
/* First step: kind, method, raw query. `target` is in origin form, with its query. 0, or -1 with
 * *error: 404 for a path that is none of ours, 400 NAME_INVALID. The caller calls
 * operation_cleanup in both cases. */
int operation_parse_address(struct operation *out, enum http_method method, struct slice target,
                            struct api_error *error);
/* Second step: the name, the reference and the query. 0, or -1 with *error: 400 NAME_INVALID,
 * DIGEST_INVALID, PAGINATION_NUMBER_INVALID and others. `target` must still be alive. */
int operation_parse_rest(struct operation *operation, const struct operation_limits *limits,
                         struct api_error *error);
/* Frees what operation_parse_address took; safe on a zeroed struct. */
void operation_cleanup(struct operation *operation);
/* Appends those parameters of the raw query that are not of the API, each with a '&' before it:
 * some upstreams have parameters of their own for pages (next_page=…). */
void operation_print_others(const struct operation *operation, struct buf *out);

#endif
