/* SPDX-License-Identifier: Apache-2.0 */
/* The query of every operation: the first byte says of which, the rest is the query. */
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "oci/api_error.h"
#include "oci/name.h"
#include "oci/operation.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct operation_limits limits = {.parameters = 100, .tags = OPERATION_TAGS_MAX};

static const struct {
    const char *method;
    const char *path;
} requests[] = {
    {"GET", "/v2/_catalog?"},
    {"GET", "/v2/a/tags/list?"},
    {"GET", "/v2/a/referrers/" DIGEST "?"},
    {"PUT", "/v2/a/manifests/" DIGEST "?"},
    {"GET", "/v2/a/blobs/" DIGEST "?"},
    {"POST", "/v2/a/blobs/uploads/?"},
    {"PUT", "/v2/a/blobs/uploads/1?"},
};

static int parse(struct operation *operation, const char *method, struct slice target,
                 struct api_error *error)
{
    if (operation_parse_address(operation, http_method_parse(slice_of(method)), target, error) != 0)
        return -1;
    return operation_parse_rest(operation, &limits, error);
}

static void check_values(const struct operation *operation)
{
    CHECK(!operation->has_from || name_is_valid(operation->from));
    CHECK(!operation->has_n || operation->n <= UINT32_MAX);
    CHECK(operation->tag_count <= OPERATION_TAGS_MAX);
    for (unsigned i = 0; i < operation->tag_count; i++)
        CHECK(tag_is_valid(operation->tags[i]));
    CHECK(!operation->has_digest || operation->digest_query.algorithm != 0);
    CHECK(!operation->has_mount || operation->mount.algorithm != 0);
    for (size_t i = 0; i < operation->last.length; i++)
        CHECK(operation->last.data[i] >= ' ' && operation->last.data[i] <= '~');
}

/* What goes to an upstream has no parameter of ours, and nothing is lost or added the second time.
 */
static void check_others(const struct operation *operation, const char *path, struct buf *target)
{
    struct operation again;
    struct api_error error;
    AUTO_BUF struct buf others;
    AUTO_BUF struct buf same;

    buf_init(&others, operation->query.length + 1);
    buf_init(&same, operation->query.length + 1);
    operation_print_others(operation, &others);
    CHECK(!others.is_over);
    buf_consume(&others, others.length > 0); /* the first '&' */
    buf_clear(target);
    buf_append_text(target, path);
    buf_append_slice(target, buf_bytes(&others));
    CHECK(parse(&again, "GET", buf_bytes(target), &error) == 0);
    CHECK(!again.has_ns && !again.has_n && !again.has_last && again.tag_count == 0);
    CHECK(again.artifact_type.length == 0);
    operation_print_others(&again, &same);
    buf_consume(&same, same.length > 0);
    CHECK(slice_equal(buf_bytes(&others), buf_bytes(&same)));
    operation_cleanup(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct operation operation;
    struct api_error error;
    AUTO_BUF struct buf target;

    buf_init(&target, size + 256);
    if (size == 0)
        return 0;
    size_t which = data[0] % (sizeof(requests) / sizeof(requests[0]));
    buf_append_text(&target, requests[which].path);
    buf_append(&target, data + 1, size - 1);
    if (parse(&operation, requests[which].method, buf_bytes(&target), &error) == 0) {
        AUTO_BUF struct buf second;

        buf_init(&second, size + 512);
        check_values(&operation);
        check_others(&operation, requests[1].path, &second);
    } else {
        CHECK(error.status >= 400 && error.status <= 599);
    }
    operation_cleanup(&operation);
    return 0;
}
