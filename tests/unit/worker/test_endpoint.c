/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints: what each address has, and what the log calls it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "endpoints.h"
#include "worker/worker.h"

static const struct worker_options options;

static struct endpoint_address of_kind(enum operation_kind kind)
{
    return (struct endpoint_address){.listener = LISTENER_FULL, .kind = kind};
}

static void expect_methods(const struct endpoint_address *address, bool is_read_only,
                           enum http_method except, const char *methods)
{
    struct endpoint_set set = endpoints_all(&options);
    AUTO_BUF struct buf text;

    buf_init(&text, ALLOW_MAX);
    endpoint_print_methods(&set, address, is_read_only, except, &text);
    assert_string_equal(buf_text(&text), methods);
}

static void expect_label(enum operation_kind kind, enum http_method method, const char *label)
{
    struct endpoint_set set = endpoints_all(&options);
    struct endpoint_address address = of_kind(kind);
    const struct endpoint *endpoint = endpoint_find(&set, &address, method);

    assert_non_null(endpoint);
    assert_string_equal(endpoint->label, label);
}

static void endpoints_have_the_methods_of_the_api(void **state)
{
    static const struct {
        enum operation_kind kind;
        const char *all;
        const char *read_only;
    } rows[] = {
        {OPERATION_BASE, "GET, HEAD, OPTIONS", "GET, HEAD, OPTIONS"},
        {OPERATION_CATALOG, "GET, HEAD", "GET, HEAD"},
        {OPERATION_TAGS, "GET, HEAD", "GET, HEAD"},
        {OPERATION_REFERRERS, "GET, HEAD", "GET, HEAD"},
        {OPERATION_MANIFEST, "GET, HEAD, PUT, DELETE", "GET, HEAD"},
        {OPERATION_BLOB, "GET, HEAD, DELETE", "GET, HEAD"},
        {OPERATION_UPLOAD_START, "POST", ""},
        {OPERATION_UPLOAD, "GET, HEAD, PATCH, PUT, DELETE", ""},
    };

    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct endpoint_address address = of_kind(rows[i].kind);

        expect_methods(&address, false, METHOD_OTHER, rows[i].all);
        expect_methods(&address, true, METHOD_OTHER, rows[i].read_only);
    }
}

static void endpoints_do_not_offer_a_method_that_was_just_refused(void **state)
{
    struct endpoint_address manifest = of_kind(OPERATION_MANIFEST);
    struct endpoint_address blob = of_kind(OPERATION_BLOB);

    (void)state;

    expect_methods(&manifest, false, METHOD_DELETE, "GET, HEAD, PUT");
    expect_methods(&blob, false, METHOD_DELETE, "GET, HEAD");
}

static void endpoints_are_labelled_by_what_they_do(void **state)
{
    (void)state;

    expect_label(OPERATION_BASE, METHOD_HEAD, "base");
    expect_label(OPERATION_CATALOG, METHOD_GET, "catalog");
    expect_label(OPERATION_TAGS, METHOD_GET, "list_tags");
    expect_label(OPERATION_REFERRERS, METHOD_GET, "list_referrers");
    expect_label(OPERATION_MANIFEST, METHOD_GET, "pull_manifest");
    expect_label(OPERATION_MANIFEST, METHOD_HEAD, "head_manifest");
    expect_label(OPERATION_MANIFEST, METHOD_PUT, "push_manifest");
    expect_label(OPERATION_MANIFEST, METHOD_DELETE, "delete_manifest");
    expect_label(OPERATION_BLOB, METHOD_GET, "pull_blob");
    expect_label(OPERATION_BLOB, METHOD_HEAD, "head_blob");
    expect_label(OPERATION_BLOB, METHOD_DELETE, "delete_blob");
    expect_label(OPERATION_UPLOAD_START, METHOD_POST, "start_upload");
    expect_label(OPERATION_UPLOAD, METHOD_GET, "upload_status");
    expect_label(OPERATION_UPLOAD, METHOD_PATCH, "push_chunk");
    expect_label(OPERATION_UPLOAD, METHOD_PUT, "push_blob");
    expect_label(OPERATION_UPLOAD, METHOD_DELETE, "cancel_upload");
}

/* No request may find two rows, and none may do something to a repository without a right. */
static void endpoints_are_each_found_by_one_row(void **state)
{
    struct endpoint_set set = endpoints_all(&options);
    const struct endpoint *rows = set.tables[0].rows;

    (void)state;

    for (size_t i = 0; i < set.tables[0].count; i++) {
        for (size_t j = i + 1; j < set.tables[0].count; j++) {
            bool is_same_address =
                rows[i].path && rows[j].path
                    ? strcmp(rows[i].path, rows[j].path) == 0
                    : !rows[i].path && !rows[j].path && rows[i].kind == rows[j].kind;

            if (is_same_address && (rows[i].listeners & rows[j].listeners) != 0 &&
                (rows[i].methods & rows[j].methods) != 0)
                fail_msg("%s and %s are one request", rows[i].label, rows[j].label);
        }
        if ((rows[i].needs & NEEDS_REPOSITORY) != 0)
            assert_int_equal(rows[i].needs & NEEDS_NO_LOGIN, 0);
    }
}

static void endpoints_of_a_path_belong_to_their_listeners(void **state)
{
    struct endpoint_set set = endpoints_all(&options);
    struct endpoint_address address = {.listener = LISTENER_ADMIN,
                                       .path = SLICE_LITERAL("/metrics")};
    AUTO_BUF struct buf text;

    (void)state;

    assert_true(endpoint_has_path(&set, &address));
    assert_string_equal(endpoint_find(&set, &address, METHOD_GET)->label, "metrics");
    assert_null(endpoint_find(&set, &address, METHOD_POST));
    address.listener = LISTENER_FULL;
    assert_false(endpoint_has_path(&set, &address));
    assert_null(endpoint_find(&set, &address, METHOD_GET));
    buf_init(&text, 256);
    endpoint_print_paths(&set, LISTENER_ADMIN, &text);
    assert_string_equal(buf_text(&text), "/healthz, /readyz, /metrics");
}

static void endpoints_tell_all_methods_of_a_listener(void **state)
{
    struct endpoint_set set = endpoints_all(&options);
    AUTO_BUF struct buf full;
    AUTO_BUF struct buf mirror;

    (void)state;

    buf_init(&full, ALLOW_MAX);
    buf_init(&mirror, ALLOW_MAX);
    endpoint_print_all_methods(&set, LISTENER_FULL, &full);
    endpoint_print_all_methods(&set, LISTENER_MIRROR, &mirror);
    assert_string_equal(buf_text(&full), "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS");
    assert_string_equal(buf_text(&mirror), "GET, HEAD, OPTIONS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_have_the_methods_of_the_api),
        cmocka_unit_test(endpoints_do_not_offer_a_method_that_was_just_refused),
        cmocka_unit_test(endpoints_are_labelled_by_what_they_do),
        cmocka_unit_test(endpoints_are_each_found_by_one_row),
        cmocka_unit_test(endpoints_of_a_path_belong_to_their_listeners),
        cmocka_unit_test(endpoints_tell_all_methods_of_a_listener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
