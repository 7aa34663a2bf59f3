/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: the four kinds, what they refer to, and every way to be ambiguous or wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "oci/manifest.h"

#define HEX   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define A     "sha256:" HEX
#define LAYER "application/vnd.oci.image.layer.v1.tar+gzip"
#define DESCRIPTOR(type, more)                                                                     \
    "{\"mediaType\":\"" type "\",\"digest\":\"" A "\",\"size\":7" more "}"
#define CONFIG      DESCRIPTOR("application/vnd.oci.image.config.v1+json", "")
#define TYPED(type) "\"schemaVersion\":2,\"mediaType\":\"" type "\","
#define IMAGE(more) "{" TYPED(MEDIA_TYPE_OCI_MANIFEST) "\"config\":" CONFIG "," more "}"
#define INDEX(more) "{" TYPED(MEDIA_TYPE_OCI_INDEX) more "}"
#define CHILD       DESCRIPTOR(MEDIA_TYPE_OCI_MANIFEST, "")

static struct manifest *manifest;
static struct error err;

static int parse_as(const char *text, const char *content_type)
{
    manifest_free(&manifest);
    return manifest_parse(slice_of(text), slice_of(content_type), &manifest, &err);
}

static int parse(const char *text)
{
    return parse_as(text, "");
}

static int teardown(void **state)
{
    (void)state;
    manifest_free(&manifest);
    return 0;
}

static void expect_invalid(const char *text)
{
    if (parse(text) != -ERR_INVALID)
        fail_msg("not refused as invalid: %s", text);
    assert_null(manifest);
}

static void manifest_without_layers_may_say_null(void **state)
{
    (void)state;

    assert_int_equal(parse(IMAGE("\"layers\":null")), 0);
    assert_int_equal(manifest->descriptor_count, 1);
    expect_invalid("{" TYPED(MEDIA_TYPE_OCI_MANIFEST) "\"config\":" CONFIG "}");
    expect_invalid(INDEX("\"x\":null"));
}

#define ARTIFACT(more) "{\"mediaType\":\"" MEDIA_TYPE_OCI_ARTIFACT "\"" more "}"

static void artifact_manifest_has_blobs_subject_and_type(void **state)
{
    (void)state;

    assert_int_equal(parse_as(ARTIFACT(",\"artifactType\":\"application/x\",\"blobs\":[" DESCRIPTOR(
                                  LAYER, "") "],\"subject\":" CHILD),
                              MEDIA_TYPE_OCI_ARTIFACT),
                     0);
    assert_int_equal(manifest->kind, MEDIA_ARTIFACT);
    assert_string_equal(manifest->artifact_type, "application/x");
    assert_int_equal(manifest->descriptor_count, 1);
    assert_int_equal(manifest->descriptors[0].role, DESCRIPTOR_LAYER);
    assert_true(manifest->has_subject);
    assert_int_equal(parse(ARTIFACT(",\"blobs\":null")), 0);
    assert_int_equal(parse(ARTIFACT("")), 0);
    expect_invalid(ARTIFACT(",\"blobs\":{}"));
    expect_invalid(ARTIFACT(",\"blobs\":[7]"));
    expect_invalid(ARTIFACT(",\"layers\":[]"));
    expect_invalid(ARTIFACT(",\"manifests\":[]"));
    expect_invalid(ARTIFACT(",\"config\":{}"));
    assert_true(parse_as(ARTIFACT(""), MEDIA_TYPE_OCI_MANIFEST) < 0);
}

static void fetched_manifest_is_what_it_says_itself(void **state)
{
    static const char *const labels[] = {
        "",
        "text/plain",
        "text/plain; charset=utf-8",
        "application/json",
        "application/octet-stream",
        MEDIA_TYPE_OCI_INDEX,
        MEDIA_TYPE_OCI_MANIFEST "; charset=utf-8",
    };
    static const struct {
        const char *text;
        const char *media_type;
    } rows[] = {
        {IMAGE("\"layers\":[]"), MEDIA_TYPE_OCI_MANIFEST},
        {IMAGE("\"layers\":null"), MEDIA_TYPE_OCI_MANIFEST},
        {INDEX("\"manifests\":[]"), MEDIA_TYPE_OCI_INDEX},
        {INDEX("\"manifests\":null"), MEDIA_TYPE_OCI_INDEX},
        {ARTIFACT(""), MEDIA_TYPE_OCI_ARTIFACT},
    };
    static const struct {
        const char *text;
        const char *media_type;
    } untyped[] = {
        {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}", MEDIA_TYPE_OCI_MANIFEST},
        {"{\"schemaVersion\":2,\"config\":" CONFIG "}", MEDIA_TYPE_OCI_MANIFEST},
        {"{\"schemaVersion\":2,\"manifests\":[]}", MEDIA_TYPE_OCI_INDEX},
        {"{\"schemaVersion\":2,\"config\":" DESCRIPTOR(
             "application/vnd.docker.container.image.v1+json", "") ",\"layers\":[]}",
         MEDIA_TYPE_DOCKER_MANIFEST},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
            manifest_free(&manifest);
            assert_int_equal(manifest_parse_fetched(slice_of(rows[k].text), slice_of(labels[i]),
                                                    &manifest, &err),
                             0);
            assert_string_equal(manifest->media_type, rows[k].media_type);
        }
    }
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < sizeof(untyped) / sizeof(untyped[0]); k++) {
            manifest_free(&manifest);
            assert_int_equal(manifest_parse_fetched(slice_of(untyped[k].text), slice_of(labels[i]),
                                                    &manifest, &err),
                             0);
            assert_string_equal(manifest->media_type, untyped[k].media_type);
        }
    }
    /* Upstreams that label all of them alike. */
    for (size_t k = 0; k < sizeof(untyped) / sizeof(untyped[0]); k++) {
        bool is_index = k == 2;

        manifest_free(&manifest);
        assert_int_equal(manifest_parse_fetched(
                             slice_of(untyped[k].text),
                             slice_of(is_index ? MEDIA_TYPE_OCI_MANIFEST : MEDIA_TYPE_OCI_INDEX),
                             &manifest, &err),
                         0);
        assert_string_equal(manifest->media_type, untyped[k].media_type);
    }
    manifest_free(&manifest);
    assert_true(manifest_parse_fetched(SLICE_LITERAL("{\"schemaVersion\":2}"),
                                       SLICE_LITERAL("application/json"), &manifest, &err) < 0);
    assert_int_equal(manifest_parse_fetched(
                         SLICE_LITERAL("{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}"),
                         SLICE_LITERAL(MEDIA_TYPE_DOCKER_MANIFEST "; charset=x"), &manifest, &err),
                     0);
    assert_string_equal(manifest->media_type, MEDIA_TYPE_DOCKER_MANIFEST);
}

#define SCHEMA1(more)                                                                              \
    "{\"schemaVersion\":1,\"name\":\"a\",\"fsLayers\":[{\"blobSum\":\"" A "\"}" more

static int fetched(const char *text, const char *label)
{
    manifest_free(&manifest);
    return manifest_parse_fetched(slice_of(text), slice_of(label), &manifest, &err);
}

static void schema1_is_read_from_upstreams_for_its_layers(void **state)
{
    static const struct {
        const char *text;
        const char *label;
        const char *media_type; /* NULL: refused */
    } rows[] = {
        {SCHEMA1("],\"signatures\":[]}"), MEDIA_TYPE_SCHEMA1_SIGNED, MEDIA_TYPE_SCHEMA1_SIGNED},
        {SCHEMA1("],\"signatures\":[]}"), MEDIA_TYPE_SCHEMA1, MEDIA_TYPE_SCHEMA1},
        {SCHEMA1("],\"signatures\":[]}"), "application/json", MEDIA_TYPE_SCHEMA1_SIGNED},
        {SCHEMA1("],\"signatures\":[]}"), MEDIA_TYPE_DOCKER_MANIFEST, MEDIA_TYPE_SCHEMA1_SIGNED},
        {SCHEMA1("],\"history\":7}"), "text/plain; charset=utf-8", MEDIA_TYPE_SCHEMA1},
        {IMAGE("\"layers\":[]"), MEDIA_TYPE_SCHEMA1, MEDIA_TYPE_OCI_MANIFEST},
        {"{\"schemaVersion\":2,\"manifests\":[]}", MEDIA_TYPE_SCHEMA1, MEDIA_TYPE_OCI_INDEX},
        {SCHEMA1("],\"layers\":[]}"), MEDIA_TYPE_SCHEMA1, NULL},
        {SCHEMA1("],\"config\":{}}"), MEDIA_TYPE_SCHEMA1, NULL},
        {SCHEMA1(",{\"blobSum\":\"sha1:00\"}]}"), MEDIA_TYPE_SCHEMA1, NULL},
        {SCHEMA1(",{}]}"), MEDIA_TYPE_SCHEMA1, NULL},
        {SCHEMA1(",7]}"), MEDIA_TYPE_SCHEMA1, NULL},
        {"{\"schemaVersion\":2,\"fsLayers\":[]}", MEDIA_TYPE_SCHEMA1, NULL},
        {"{\"fsLayers\":[]}", MEDIA_TYPE_SCHEMA1, NULL},
        {"{\"schemaVersion\":1,\"fsLayers\":null}", MEDIA_TYPE_SCHEMA1, NULL},
        {"{\"schemaVersion\":1}", MEDIA_TYPE_SCHEMA1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int rc = fetched(rows[i].text, rows[i].label);

        if ((rc != 0) != !rows[i].media_type)
            fail_msg("%s as %s", rows[i].text, rows[i].label);
        if (rc == 0)
            assert_string_equal(manifest->media_type, rows[i].media_type);
    }
    assert_int_equal(
        fetched(SCHEMA1(",{\"blobSum\":\"" A "\"}]}"), MEDIA_TYPE_SCHEMA1_SIGNED "; charset=utf-8"),
        0);
    assert_int_equal(manifest->kind, MEDIA_SCHEMA1);
    assert_int_equal(manifest->descriptor_count, 2);
    assert_int_equal(manifest->descriptors[1].role, DESCRIPTOR_LAYER);
    assert_true(manifest->descriptors[1].size == DESCRIPTOR_SIZE_UNKNOWN);
    assert_false(manifest->is_typed);

    static const char *const pushed[] = {MEDIA_TYPE_SCHEMA1, MEDIA_TYPE_SCHEMA1_SIGNED,
                                         MEDIA_TYPE_DOCKER_MANIFEST};
    for (size_t i = 0; i < sizeof(pushed) / sizeof(pushed[0]); i++) {
        assert_true(parse_as(SCHEMA1("]}"), pushed[i]) < 0);
        assert_null(manifest);
    }
    assert_true(parse_as(SCHEMA1("]}"), MEDIA_TYPE_SCHEMA1) == -ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "schema 1 cannot be pushed"));
}

static void schema1_has_as_many_layers_as_others(void **state)
{
    static const char entry[] = "{\"blobSum\":\"" A "\"}";

    (void)state;
    for (size_t over = 0; over < 2; over++) {
        size_t count = MANIFEST_MAX_DESCRIPTORS + over;
        AUTO_BUF struct buf text;

        buf_init(&text, MANIFEST_MAX_SIZE);
        buf_append_text(&text, "{\"schemaVersion\":1,\"fsLayers\":[");
        for (size_t i = 0; i < count; i++)
            buf_printf(&text, "%s%s", i == 0 ? "" : ",", entry);
        buf_append_text(&text, "]}");
        assert_int_equal(fetched(buf_text(&text), MEDIA_TYPE_SCHEMA1), over ? -ERR_INVALID : 0);
    }
}

static void manifest_parse_lists_config_and_layers_in_order(void **state)
{
    (void)state;

    assert_int_equal(parse(IMAGE("\"layers\":[" DESCRIPTOR(LAYER, "") "," DESCRIPTOR(
                         "application/vnd.oci.image.layer.nondistributable.v1.tar",
                         ",\"urls\":[\"https://x/y\"]") "]")),
                     0);
    assert_int_equal(manifest->kind, MEDIA_IMAGE);
    assert_string_equal(manifest->media_type, MEDIA_TYPE_OCI_MANIFEST);
    assert_string_equal(manifest->artifact_type, "application/vnd.oci.image.config.v1+json");
    assert_int_equal(manifest->descriptor_count, 3);
    assert_int_equal(manifest->descriptors[0].role, DESCRIPTOR_CONFIG);
    assert_int_equal(manifest->descriptors[1].role, DESCRIPTOR_LAYER);
    assert_false(manifest->descriptors[1].is_foreign);
    assert_true(manifest->descriptors[2].is_foreign);
    assert_int_equal(manifest->descriptors[1].size, 7);
    assert_false(manifest->has_subject);
}

static void manifest_parse_reads_artifacts(void **state)
{
    (void)state;

    assert_int_equal(
        parse(
            IMAGE("\"layers\":[],\"artifactType\":\"application/x\",\"annotations\":{\"a\":\"b\"},"
                  "\"subject\":" CHILD)),
        0);
    assert_string_equal(manifest->artifact_type, "application/x");
    assert_true(manifest->has_subject);
    char text[DIGEST_TEXT_SIZE];
    assert_string_equal(digest_print(&manifest->subject, text), A);
}

static void manifest_parse_lists_the_children_of_an_index(void **state)
{
    (void)state;

    assert_int_equal(parse(INDEX("\"manifests\":[" CHILD "," CHILD "]")), 0);
    assert_int_equal(manifest->kind, MEDIA_INDEX);
    assert_int_equal(manifest->descriptor_count, 2);
    assert_int_equal(manifest->descriptors[1].role, DESCRIPTOR_CHILD);
    assert_null(manifest->artifact_type);
    assert_int_equal(parse(INDEX("\"manifests\":[]")), 0);
}

static void manifest_parse_takes_the_type_from_either_place(void **state)
{
    static const char bare[] = "{\"schemaVersion\":2,\"manifests\":[]}";

    (void)state;

    assert_int_equal(parse_as(bare, MEDIA_TYPE_DOCKER_LIST "; charset=utf-8"), 0);
    assert_string_equal(manifest->media_type, MEDIA_TYPE_DOCKER_LIST);
    assert_int_equal(parse_as(INDEX("\"manifests\":[]"), MEDIA_TYPE_OCI_INDEX ";x=y"), 0);
    assert_string_equal(manifest->media_type, MEDIA_TYPE_OCI_INDEX);
    expect_invalid(bare);
    assert_int_equal(parse_as(INDEX("\"manifests\":[]"), MEDIA_TYPE_OCI_MANIFEST), -ERR_INVALID);
    assert_int_equal(parse_as(INDEX("\"manifests\":[]"), MEDIA_TYPE_DOCKER_LIST), -ERR_INVALID);
    assert_int_equal(parse_as(bare, "text/html"), -ERR_UNSUPPORTED);
    assert_int_equal(parse_as(bare, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
                     -ERR_UNSUPPORTED);
}

static void manifest_parse_never_lets_a_line_end_into_the_type(void **state)
{
    (void)state;

    expect_invalid("{" TYPED(MEDIA_TYPE_OCI_INDEX ";\\r\\nX: y") "\"manifests\":[]}");
    expect_invalid("{" TYPED(MEDIA_TYPE_OCI_INDEX "; a") "\"manifests\":[]}");
    expect_invalid(IMAGE("\"layers\":[],\"artifactType\":\"a\\nb\""));
}

static void manifest_parse_refuses_what_could_be_read_in_two_ways(void **state)
{
    (void)state;

    expect_invalid(IMAGE("\"layers\":[],\"manifests\":[]"));
    expect_invalid(INDEX("\"manifests\":[],\"layers\":[]"));
    expect_invalid(INDEX("\"manifests\":[],\"config\":" CONFIG));
    expect_invalid(INDEX("\"manifests\":[],\"fsLayers\":[]"));
    expect_invalid(IMAGE("\"layers\":[],\"fsLayers\":null"));
    expect_invalid(IMAGE("\"layers\":[],\"layers\":[]"));
    expect_invalid(IMAGE("\"layers\":[],\"\\u006cayers\":[]"));
    expect_invalid(IMAGE("\"layers\":[],\"config\":" CONFIG));
}

static void manifest_parse_refuses_what_is_no_manifest(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "null",
        "[]",
        "\"x\"",
        "1",
        "{}",
        "{\"a\":NaN}",
        "\xef\xbb\xbf{}",
        IMAGE("\"layers\":[]") "x",
        IMAGE("\"layers\":[]") IMAGE("\"layers\":[]"),
        IMAGE("\"layers\":{}"),
        IMAGE("\"x\":1"),
        "{" TYPED(MEDIA_TYPE_OCI_MANIFEST) "\"layers\":[]}",
        "{" TYPED(MEDIA_TYPE_OCI_MANIFEST) "\"config\":null,\"layers\":[]}",
        "{" TYPED(MEDIA_TYPE_OCI_INDEX) "\"x\":[]}",
        "{\"schemaVersion\":\"2\",\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}",
        "{\"schemaVersion\":3,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}",
        "{\"schemaVersion\":2.0,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}",
        "{\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}",
        "{\"schemaVersion\":2,\"mediaType\":7,\"manifests\":[]}",
    };

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_invalid(bad[i]);
    assert_int_equal(
        parse("{\"schemaVersion\":1,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}"),
        -ERR_UNSUPPORTED);
}

static void manifest_parse_refuses_bad_descriptors_by_path(void **state)
{
    static const char *const bad[] = {
        "null",
        "[]",
        "{}",
        "{\"digest\":\"" A "\"}",
        "{\"digest\":\"" A "\",\"size\":-1}",
        "{\"digest\":\"" A "\",\"size\":1.5}",
        "{\"digest\":\"" A "\",\"size\":1e3}",
        "{\"digest\":\"" A "\",\"size\":9223372036854775808}",
        "{\"digest\":\"" A "\",\"size\":\"12\"}",
        "{\"digest\":\"sha1:da39\",\"size\":1}",
        "{\"digest\":\"" A " \",\"size\":1}",
        "{\"size\":1}",
        "{\"digest\":7,\"size\":1}",
        "{\"digest\":\"" A "\",\"size\":1,\"mediaType\":[]}",
        DESCRIPTOR(LAYER, ",\"urls\":[\"https://x\"]"),
        DESCRIPTOR(LAYER, ",\"urls\":\"https://x\""),
        DESCRIPTOR("application/vnd.oci.image.layer.nondistributable.v1.tar",
                   ",\"urls\":[\"file:///etc/passwd\"]"),
        DESCRIPTOR("application/vnd.oci.image.layer.nondistributable.v1.tar", ",\"urls\":[7]"),
        DESCRIPTOR(LAYER, ",\"annotations\":{\"a\":1}"),
        DESCRIPTOR(LAYER, ",\"annotations\":[]"),
        DESCRIPTOR(LAYER, ",\"data\":\"AAAA\""),
    };
    char text[2000];

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(snprintf(text, sizeof(text), IMAGE("\"layers\":[" CHILD ",%s]"), bad[i]) > 0);
        expect_invalid(text);
        if (!strstr(bad[i], "9223372036854775808"))
            assert_true(slice_starts_with(slice_of(err.text), "layers[1]"));
    }
    expect_invalid(IMAGE("\"layers\":[],\"subject\":7"));
    assert_true(slice_starts_with(slice_of(err.text), "subject: "));
    expect_invalid(IMAGE("\"layers\":[],\"subject\":{\"digest\":\"sha1:00\",\"size\":1}"));
    assert_true(slice_starts_with(slice_of(err.text), "subject.digest: "));
    expect_invalid(IMAGE("\"layers\":[],\"annotations\":{\"a\":{}}"));
    expect_invalid(IMAGE("\"layers\":[],\"annotations\":{\"a\\u0007\":\"b\"}"));
}

static void manifest_parse_checks_embedded_data(void **state)
{
    static const char form[] = "{" TYPED(
        MEDIA_TYPE_OCI_MANIFEST) "\"config\":{\"digest\":\"%s\",\"size\":%d,\"data\":\"%s\"},"
                                 "\"layers\":[]}";
    static const struct {
        const char *content;
        const char *data;
        int size;
        int rc;
    } cases[] = {
        {"{}", "e30=", 2, 0},
        {"", "", 0, 0},
        {"abc", "YWJj", 3, 0},
        {"abcd", "YWJjZA==", 4, 0},
        {"{}", "e30", 2, -ERR_INVALID},
        {"{}", "e31=", 2, -ERR_INVALID},
        {"{}", "e30=", 3, -ERR_INVALID},
        {"abc", "YW=j", 3, -ERR_INVALID},
        {"abcd", "YWJjZ===", 4, -ERR_INVALID},
        {"abc", "YWJ_", 3, -ERR_INVALID},
    };
    char text[2000];
    char digest_text[DIGEST_TEXT_SIZE];

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct digest digest;

        digest_of(HASH_SHA256, slice_of(cases[i].content), &digest);
        (void)digest_print(&digest, digest_text);
        assert_true(snprintf(text, sizeof(text), form, digest_text, cases[i].size, cases[i].data) >
                    0);
        assert_int_equal(parse(text), cases[i].rc);
    }
}

static int parse_index_of(size_t children)
{
    AUTO_BUF struct buf text;

    buf_init(&text, MANIFEST_MAX_SIZE);
    buf_append_text(&text, "{" TYPED(MEDIA_TYPE_OCI_INDEX) "\"manifests\":[");
    for (size_t i = 0; i < children; i++) {
        buf_append_text(&text, i == 0 ? "" : ",");
        buf_append_text(&text, "{\"mediaType\":\"a/b\",\"digest\":\"" A
                               "\",\"size\":7,\"platform\":{\"architecture\":\"arm\",\"os\":"
                               "\"linux\",\"variant\":\"v7\"}}");
    }
    buf_append_text(&text, "]}");
    assert_false(text.is_over);
    manifest_free(&manifest);
    return manifest_parse(buf_bytes(&text), slice_of(""), &manifest, &err);
}

static void manifest_parse_counts_to_10000_descriptors(void **state)
{
    (void)state;

    assert_int_equal(parse_index_of(MANIFEST_MAX_DESCRIPTORS), 0);
    assert_int_equal(manifest->descriptor_count, MANIFEST_MAX_DESCRIPTORS);
    assert_int_equal(parse_index_of(MANIFEST_MAX_DESCRIPTORS + 1), -ERR_INVALID);
}

static void manifest_parse_refuses_bombs(void **state)
{
    AUTO_BUF struct buf text;

    (void)state;

    buf_init(&text, MANIFEST_MAX_SIZE + 1);
    for (size_t i = 0; i < 1000000; i++)
        buf_append_byte(&text, '[');
    assert_int_equal(manifest_parse(buf_bytes(&text), slice_of(""), &manifest, &err), -ERR_INVALID);
    buf_clear(&text);
    buf_append_text(&text, "{\"x\":[1");
    for (size_t i = 3; i < MANIFEST_MAX_VALUES; i++)
        buf_append_text(&text, ",1");
    size_t length = text.length;
    buf_append_text(&text, "]}");
    assert_int_equal(manifest_parse(buf_bytes(&text), slice_of("a/b"), &manifest, &err),
                     -ERR_UNSUPPORTED);
    text.length = length;
    buf_append_text(&text, ",1]}");
    assert_int_equal(manifest_parse(buf_bytes(&text), slice_of("a/b"), &manifest, &err),
                     -ERR_INVALID);
    assert_string_equal(err.text, "the JSON has more than 150000 values");
    while (!text.is_over)
        buf_append_text(&text, " ");
    assert_int_equal(manifest_parse(buf_bytes(&text), slice_of(""), &manifest, &err),
                     -ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_without_layers_may_say_null),
        cmocka_unit_test(artifact_manifest_has_blobs_subject_and_type),
        cmocka_unit_test(fetched_manifest_is_what_it_says_itself),
        cmocka_unit_test(schema1_is_read_from_upstreams_for_its_layers),
        cmocka_unit_test(schema1_has_as_many_layers_as_others),
        cmocka_unit_test(manifest_parse_lists_config_and_layers_in_order),
        cmocka_unit_test(manifest_parse_reads_artifacts),
        cmocka_unit_test(manifest_parse_lists_the_children_of_an_index),
        cmocka_unit_test(manifest_parse_takes_the_type_from_either_place),
        cmocka_unit_test(manifest_parse_never_lets_a_line_end_into_the_type),
        cmocka_unit_test(manifest_parse_refuses_what_could_be_read_in_two_ways),
        cmocka_unit_test(manifest_parse_refuses_what_is_no_manifest),
        cmocka_unit_test(manifest_parse_refuses_bad_descriptors_by_path),
        cmocka_unit_test(manifest_parse_checks_embedded_data),
        cmocka_unit_test(manifest_parse_counts_to_10000_descriptors),
        cmocka_unit_test(manifest_parse_refuses_bombs),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
