/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and queries: what they mean, and the error for each wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "oci/operation.h"

#define HEX    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIGEST "sha256:" HEX

static const struct operation_limits limits = {.parameters = 100, .tags = OPERATION_TAGS_MAX};
static struct operation operation;
static struct api_error error;

static int parse(const char *method, const char *target)
{
    operation_cleanup(&operation);
    memset(&error, 0, sizeof(error));
    if (operation_parse_address(&operation, http_method_parse(slice_of(method)), slice_of(target),
                                &error) != 0)
        return -1;
    return operation_parse_rest(&operation, &limits, &error);
}

static int teardown(void **state)
{
    (void)state;
    operation_cleanup(&operation);
    return 0;
}

static void expect_error(const char *method, const char *target, int status, enum api_code code)
{
    int rc = parse(method, target);

    if (rc == 0 || error.status != status || error.code != code) {
        fail_msg("%s %s: %d, status %d, code %s", method, target, rc, error.status,
                 api_code_name(error.code));
    }
}

static void expect(const char *method, const char *target, enum operation_kind kind,
                   const char *name)
{
    if (parse(method, target) != 0)
        fail_msg("%s %s: status %d: %s", method, target, error.status, error.text);
    assert_int_equal(operation.kind, kind);
    assert_true(slice_is(operation.name, name));
}

static void operation_parse_finds_every_kind(void **state)
{
    (void)state;

    expect("GET", "/v2/", OPERATION_BASE, "");
    expect("HEAD", "/v2", OPERATION_BASE, "");
    expect("GET", "/", OPERATION_BASE, "");
    expect("GET", "/v2/_catalog?n=5", OPERATION_CATALOG, "");
    expect("GET", "/v2/a/tags/list", OPERATION_TAGS, "a");
    expect("PUT", "/v2/a/b/manifests/latest", OPERATION_MANIFEST, "a/b");
    assert_true(slice_is(operation.tag, "latest"));
    assert_false(operation.by_digest);
    expect("GET", "/v2/a/manifests/" DIGEST, OPERATION_MANIFEST, "a");
    assert_true(operation.by_digest);
    expect("HEAD", "/v2/a/blobs/" DIGEST, OPERATION_BLOB, "a");
    expect("POST", "/v2/a/blobs/uploads/", OPERATION_UPLOAD_START, "a");
    expect("POST", "/v2/a/blobs/uploads", OPERATION_UPLOAD_START, "a");
    expect("PATCH", "/v2/a/blobs/uploads/0100", OPERATION_UPLOAD, "a");
    assert_true(slice_is(operation.upload_id, "0100"));
    expect("GET", "/v2/a/referrers/" DIGEST, OPERATION_REFERRERS, "a");
}

static void operation_parse_reads_names_from_the_right_end(void **state)
{
    (void)state;

    expect("GET", "/v2/blobs/manifests/latest", OPERATION_MANIFEST, "blobs");
    expect("GET", "/v2/manifests/manifests/manifests", OPERATION_MANIFEST, "manifests");
    expect("GET", "/v2/x/blobs/uploads/manifests/t", OPERATION_MANIFEST, "x/blobs/uploads");
    expect("GET", "/v2/x/tags/list/tags/list", OPERATION_TAGS, "x/tags/list");
    expect("GET", "/v2/tags/tags/list", OPERATION_TAGS, "tags");
    expect("POST", "/v2/blobs/uploads/blobs/uploads/", OPERATION_UPLOAD_START, "blobs/uploads");
    expect("GET", "/v2/uploads/blobs/" DIGEST, OPERATION_BLOB, "uploads");
}

static void operation_parse_answers_404_to_other_addresses(void **state)
{
    static const char *const targets[] = {
        "",
        "//",
        "/v1/",
        "/v2//",
        "/V2/",
        "/v2/a",
        "/v2/a/tags",
        "/v2/a/b",
        "/v2/_catalog/",
        "/v2x",
        "v2/",
        "/v2/a/manifests/b/c",
        "/v2/a/tags/lists",
        "*",
        "http://h/v2/",
    };

    (void)state;

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        expect_error("GET", targets[i], 404, API_UNSUPPORTED);
}

/* Some clients encode a name as a whole. */
static void operation_parse_decodes_a_slash_in_a_name(void **state)
{
    (void)state;
    expect("GET", "/v2/a%2Fb/manifests/t", OPERATION_MANIFEST, "a/b");
    expect("GET", "/v2/a%2fb%2Fc/tags/list", OPERATION_TAGS, "a/b/c");
    expect("POST", "/v2/a%2Fb/blobs/uploads/", OPERATION_UPLOAD_START, "a/b");
    expect_error("GET", "/v2/a%2Fmanifests/t", 400, API_NAME_INVALID);
    expect_error("GET", "/v2/a/manifests%2Ft", 400, API_NAME_INVALID);
    expect_error("GET", "/v2/a%2F%2Fb/tags/list", 400, API_NAME_INVALID);
    expect_error("GET", "/v2/a%252Fb/tags/list", 400, API_NAME_INVALID);
}

static void operation_parse_never_normalises(void **state)
{
    static const char *const targets[] = {
        "/v2/../etc/passwd",      "/v2/./x/tags/list",      "/v2/a/../b/manifests/t",
        "/v2/%2e%2e/manifests/t", "/v2/a/tags%2Flist",      "/v2/a%2F..%2Fb/tags/list",
        "/v2/a%5cb/tags/list",    "/v2/a%00b/tags/list",    "/v2/a%0d%0ab/tags/list",
        "/v2/a%252fb/tags/list",  "/v2/a/manifests/%2F",    "/v2/a/manifests/..",
        "/v2/%c0%af/tags/list",   "/v2/\xc3\xa4/tags/list", "/v2/%/tags/list",
        "/v2/%1/tags/list",       "/v2/%zz/tags/list",      "/v2/a/manifests/%",
        "/v2/Foo/Bar/tags/list",  "/v2/a//b/tags/list",     "/v2//a/tags/list",
        "/v2/a//tags/list",       "/v2/-a/tags/list",       "/v2/a%20b/tags/list",
        "/v2/_catalog/tags/list",
    };

    (void)state;

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        expect_error("GET", targets[i], 400, API_NAME_INVALID);
}

static void operation_parse_bounds_the_path(void **state)
{
    char target[9000] = "/v2/";

    (void)state;

    for (size_t i = 0; i < 4000; i++)
        memcpy(target + 4 + 2 * i, "a/", 3);
    expect_error("GET", target, 400, API_NAME_INVALID);
    memset(target + 4, 'a', 255);
    memcpy(target + 4 + 255, "/tags/list", 11);
    assert_int_equal(parse("GET", target), 0);
    assert_int_equal(operation.name.length, 255);
    memset(target + 4, 'a', 256);
    memcpy(target + 4 + 256, "/tags/list", 11);
    expect_error("GET", target, 400, API_NAME_INVALID);
}

static void operation_parse_answers_bad_tags_by_method(void **state)
{
    static const char *const tags[] = {".x", "-x", "a%20b", "", "a@b"};

    (void)state;

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        char target[100];

        assert_true(snprintf(target, sizeof(target), "/v2/a/manifests/%s", tags[i]) > 0);
        expect_error("GET", target, 404, API_MANIFEST_UNKNOWN);
        expect_error("HEAD", target, 404, API_MANIFEST_UNKNOWN);
        expect_error("PUT", target, 400, API_MANIFEST_INVALID);
        expect_error("DELETE", target, 400, API_MANIFEST_INVALID);
    }
}

static void operation_parse_takes_a_colon_for_a_digest(void **state)
{
    static const char *const bad[] = {
        "sha256:", "sha256:" HEX "0", "sha1:" HEX, "SHA256:" HEX, "a:b", "sha256+b64u:" HEX,
    };

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char target[200];

        assert_true(snprintf(target, sizeof(target), "/v2/a/manifests/%s", bad[i]) > 0);
        expect_error("GET", target, 400, API_DIGEST_INVALID);
        assert_true(snprintf(target, sizeof(target), "/v2/a/blobs/%s", bad[i]) > 0);
        expect_error("GET", target, 400, API_DIGEST_INVALID);
    }
    expect_error("GET", "/v2/a/referrers/notadigest", 400, API_DIGEST_INVALID);
    expect("GET", "/v2/a/blobs/sha256%3A" HEX, OPERATION_BLOB, "a");
    expect("GET", "/v2/a/blobs/sha512:" HEX HEX, OPERATION_BLOB, "a");
}

static void http_method_parse_knows_the_methods_of_the_api(void **state)
{
    (void)state;

    assert_int_equal(http_method_parse(slice_of("PATCH")), METHOD_PATCH);
    assert_int_equal(http_method_parse(slice_of("TRACE")), METHOD_OTHER);
    assert_int_equal(http_method_parse(slice_of("get")), METHOD_OTHER);
    assert_true(http_method_is_known(slice_of("TRACE")));
    assert_true(http_method_is_known(slice_of("CONNECT")));
    assert_false(http_method_is_known(slice_of("get")));
    assert_false(http_method_is_known(slice_of("BREW")));
}

/* The caller refuses methods between the two steps: a name must not be refused before them. */
static void operation_parse_address_leaves_the_parts_alone(void **state)
{
    (void)state;

    operation_cleanup(&operation);
    assert_int_equal(operation_parse_address(&operation, METHOD_POST,
                                             slice_of("/v2/-a/manifests/:?n=x"), &error),
                     0);
    assert_int_equal(operation.kind, OPERATION_MANIFEST);
    assert_int_equal(operation.method, METHOD_POST);
    assert_int_equal(operation_parse_rest(&operation, &limits, &error), -1);
    assert_int_equal(error.code, API_NAME_INVALID);
}

static void operation_parse_reads_pagination(void **state)
{
    static const char *const bad[] = {"abc", "-1", "", "1e3", "0x10", "+5", "%205", "5%20"};

    (void)state;

    expect("GET", "/v2/_catalog?n=10&last=a%2Fb", OPERATION_CATALOG, "");
    assert_true(operation.has_n && operation.n == 10);
    assert_true(operation.has_last && slice_is(operation.last, "a/b"));
    expect("GET", "/v2/a/tags/list?n=0&last=", OPERATION_TAGS, "a");
    assert_true(operation.has_n && operation.n == 0);
    assert_true(operation.has_last && operation.last.length == 0);
    expect("GET", "/v2/a/tags/list?n=999999999999999999999999999999", OPERATION_TAGS, "a");
    assert_true(operation.n == UINT32_MAX);
    expect("GET", "/v2/a/tags/list?n=9223372036854775808", OPERATION_TAGS, "a");
    assert_true(operation.n == UINT32_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char target[100];

        assert_true(snprintf(target, sizeof(target), "/v2/_catalog?n=%s", bad[i]) > 0);
        expect_error("GET", target, 400, API_PAGINATION_NUMBER_INVALID);
    }
    expect_error("GET", "/v2/_catalog?n=1&n=2", 400, API_PAGINATION_NUMBER_INVALID);
    expect_error("GET", "/v2/_catalog?last=1&last=2", 400, API_PAGINATION_NUMBER_INVALID);
    expect_error("GET", "/v2/_catalog?last=%0d", 400, API_PAGINATION_NUMBER_INVALID);
}

static void operation_parse_lowers_ns_and_takes_it_everywhere(void **state)
{
    (void)state;

    expect("GET", "/v2/a/manifests/t?ns=Docker.IO", OPERATION_MANIFEST, "a");
    assert_true(operation.has_ns && slice_is(operation.ns, "docker.io"));
    expect("GET", "/v2/a/blobs/" DIGEST "?ns=", OPERATION_BLOB, "a");
    assert_false(operation.has_ns); /* as a template writes it that has no value */
    expect_error("GET", "/v2/?ns=a&ns=a", 400, API_NAME_INVALID);
    expect("GET", "/v2/?ns", OPERATION_BASE, "");
    assert_false(operation.has_ns);
}

static void operation_parse_reads_what_uploads_need(void **state)
{
    (void)state;

    expect("PUT", "/v2/a/blobs/uploads/x?digest=sha256%3a" HEX, OPERATION_UPLOAD, "a");
    assert_true(operation.has_digest);
    assert_int_equal(operation.digest_query.algorithm, HASH_SHA256);
    expect("POST", "/v2/a/blobs/uploads/?mount=" DIGEST "&from=b/c", OPERATION_UPLOAD_START, "a");
    assert_true(operation.has_mount && operation.has_from && slice_is(operation.from, "b/c"));
    expect("POST", "/v2/a/blobs/uploads/?digest-algorithm=sha512", OPERATION_UPLOAD_START, "a");
    expect_error("PUT", "/v2/a/blobs/uploads/x?digest=", 400, API_DIGEST_INVALID);
    expect_error("PUT", "/v2/a/blobs/uploads/x?digest=" DIGEST "&digest=" DIGEST, 400,
                 API_DIGEST_INVALID);
    expect_error("POST", "/v2/a/blobs/uploads/?mount=x", 400, API_DIGEST_INVALID);
    expect("POST", "/v2/a/blobs/uploads/?mount=" DIGEST "&from=X", OPERATION_UPLOAD_START, "a");
    assert_false(operation.has_from);
    expect_error("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", 400, API_DIGEST_INVALID);
}

static void operation_parse_collects_tags_of_a_push_by_digest(void **state)
{
    static const char eleven[] = "/v2/a/manifests/" DIGEST "?x=y&tag=t&tag=t&tag=t&tag=t&tag=t"
                                 "&tag=t&tag=t&tag=t&tag=t&tag=t&tag=t";
    char ten[sizeof(eleven)];

    (void)state;

    memcpy(ten, eleven, sizeof(eleven));
    ten[sizeof(eleven) - 1 - 6] = '\0';
    expect("PUT", ten, OPERATION_MANIFEST, "a");
    assert_int_equal(operation.tag_count, OPERATION_TAGS_MAX);
    assert_true(slice_is(operation.tags[9], "t"));
    expect_error("PUT", eleven, 414, API_MANIFEST_INVALID);
    expect("GET", eleven, OPERATION_MANIFEST, "a");
    assert_int_equal(operation.tag_count, 0);
    expect_error("PUT", "/v2/a/manifests/" DIGEST "?tag=.x", 400, API_MANIFEST_INVALID);
}

static void operation_parse_is_strict_about_the_query(void **state)
{
    char target[400] = "/v2/?";

    (void)state;

    expect("GET", "/v2/?digest=junk&mount=x&n=y&&=&a", OPERATION_BASE, "");
    expect_error("GET", "/v2/?a=%", 400, API_UNSUPPORTED);
    expect_error("GET", "/v2/?%zz=1", 400, API_UNSUPPORTED);
    expect_error("GET", "/v2/?ns=a%00", 400, API_UNSUPPORTED);
    expect("GET", "/v2/a/tags/list?last=a+b;n=x", OPERATION_TAGS, "a");
    assert_true(slice_is(operation.last, "a+b;n=x"));
    for (size_t i = 0; i < 100; i++)
        memcpy(target + 5 + 2 * i, "a&", 3);
    expect("GET", target, OPERATION_BASE, "");
    memcpy(target + 5 + 200, "a", 2);
    expect_error("GET", target, 400, API_UNSUPPORTED);
    expect_error("GET", "/v2/a/referrers/" DIGEST "?artifactType=a%0ab", 400, API_UNSUPPORTED);
    expect("GET", "/v2/a/referrers/" DIGEST "?artifactType=a%2Fb", OPERATION_REFERRERS, "a");
    assert_true(slice_is(operation.artifact_type, "a/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operation_parse_finds_every_kind),
        cmocka_unit_test(operation_parse_reads_names_from_the_right_end),
        cmocka_unit_test(operation_parse_answers_404_to_other_addresses),
        cmocka_unit_test(operation_parse_decodes_a_slash_in_a_name),
        cmocka_unit_test(operation_parse_never_normalises),
        cmocka_unit_test(operation_parse_bounds_the_path),
        cmocka_unit_test(operation_parse_answers_bad_tags_by_method),
        cmocka_unit_test(operation_parse_takes_a_colon_for_a_digest),
        cmocka_unit_test(http_method_parse_knows_the_methods_of_the_api),
        cmocka_unit_test(operation_parse_address_leaves_the_parts_alone),
        cmocka_unit_test(operation_parse_reads_pagination),
        cmocka_unit_test(operation_parse_lowers_ns_and_takes_it_everywhere),
        cmocka_unit_test(operation_parse_reads_what_uploads_need),
        cmocka_unit_test(operation_parse_collects_tags_of_a_push_by_digest),
        cmocka_unit_test(operation_parse_is_strict_about_the_query),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
