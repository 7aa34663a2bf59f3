/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: a method, a space, the target. What is accepted has a valid name and nothing that could
 * climb out of a folder; what is refused has a status of its own. */
#include "base/buf.h"
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "oci/name.h"
#include "oci/operation.h"

static void check_path(const struct operation *operation)
{
    bool is_nameless = operation->kind == OPERATION_BASE || operation->kind == OPERATION_CATALOG;

    CHECK(is_nameless ? operation->name.length == 0 : name_is_valid(operation->name));
    if (operation->kind == OPERATION_MANIFEST && !operation->by_digest)
        CHECK(tag_is_valid(operation->tag));
    if (operation->kind == OPERATION_BLOB || operation->kind == OPERATION_REFERRERS)
        CHECK(operation->digest.algorithm != 0);
}

static void check_query(const struct operation *operation)
{
    CHECK(slice_find(operation->upload_id, '/') < 0);
    CHECK(!operation->has_from || name_is_valid(operation->from));
    CHECK(!operation->has_n || operation->n <= UINT32_MAX);
    CHECK(operation->tag_count <= OPERATION_TAGS_MAX);
}

static const struct operation_limits limits = {.parameters = 100, .tags = OPERATION_TAGS_MAX};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice target = slice_from(data, size);
    struct slice method;
    struct operation operation;
    struct api_error error;
    AUTO_BUF struct buf body = {0};

    if (size == 0 || !slice_split(&target, ' ', &method))
        return 0;
    buf_init(&body, 8192);
    if (operation_parse_address(&operation, http_method_parse(method), target, &error) == 0 &&
        operation_parse_rest(&operation, &limits, &error) == 0) {
        check_path(&operation);
        check_query(&operation);
    } else {
        CHECK(error.status >= 400 && error.status <= 599);
        api_error_print(&body, &error);
        CHECK(!body.is_over);
    }
    operation_cleanup(&operation);
    return 0;
}
