/* SPDX-License-Identifier: Apache-2.0 */
/* Codes, statuses and JSON of the errors that clients get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/jsonio.h"
#include "oci/api_error.h"

static void api_error_set_takes_the_usual_status_of_the_code(void **state)
{
    struct api_error error;

    (void)state;

    assert_int_equal(api_error_set(&error, API_BLOB_UNKNOWN, "no blob %d", 7), -1);
    assert_int_equal(error.status, 404);
    assert_string_equal(error.text, "no blob 7");
    assert_string_equal(api_code_name(error.code), "BLOB_UNKNOWN");
    assert_int_equal(api_error_set_status(&error, API_MANIFEST_INVALID, 413, "large"), -1);
    assert_int_equal(error.status, 413);
}

static void api_error_from_maps_every_kind(void **state)
{
    (void)state;

    for (unsigned kind = ERR_NOT_FOUND; kind < ERR_KINDS; kind++) {
        struct error err = {.kind = (enum error_kind)kind, .text = "why"};
        struct api_error error = {.status = 0};

        assert_int_equal(api_error_from(&error, &err, API_MANIFEST_UNKNOWN), -1);
        assert_in_range(error.status, 400, 599);
        assert_string_equal(error.text, "why");
    }
}

static void api_error_from_uses_the_code_for_what_was_asked(void **state)
{
    struct api_error error;
    struct error err = {.kind = ERR_NOT_FOUND};

    (void)state;

    (void)api_error_from(&error, &err, API_NAME_UNKNOWN);
    assert_int_equal(error.code, API_NAME_UNKNOWN);
    assert_int_equal(error.status, 404);
    err.kind = ERR_NO_SPACE;
    (void)api_error_from(&error, &err, API_NAME_UNKNOWN);
    assert_int_equal(error.status, 507);
    err.kind = ERR_TIMEOUT;
    (void)api_error_from(&error, &err, API_NAME_UNKNOWN);
    assert_int_equal(error.status, 504);
}

static void api_error_print_escapes_what_came_from_outside(void **state)
{
    struct api_error error;
    struct error err;
    AUTO_BUF struct buf out;
    AUTO_JSONIO struct jsonio *document = NULL;

    (void)state;

    buf_init(&out, 4096);
    (void)api_error_set(&error, API_NAME_INVALID, "a \"name\" with\n\\");
    api_error_print(&out, &error);
    assert_int_equal(jsonio_parse(buf_bytes(&out), &document, &err), 0);
    struct jsonio_value first = jsonio_element(jsonio_member(jsonio_root(document), "errors"), 0);
    assert_true(slice_is(jsonio_string(jsonio_member(first, "code")), "NAME_INVALID"));
    assert_true(slice_is(jsonio_string(jsonio_member(first, "message")), error.text));
}

static void api_errors_print_any_number_with_details(void **state)
{
    struct api_error error;
    struct jsonio_writer json;
    AUTO_BUF struct buf out;

    (void)state;

    buf_init(&out, 4096);
    api_errors_begin(&json, &out);
    api_errors_end(&json);
    assert_string_equal(buf_text(&out), "{\"errors\":[]}");
    buf_clear(&out);
    (void)api_error_set(&error, API_RANGE_INVALID, "one");
    api_errors_begin(&json, &out);
    api_errors_open(&json, &error);
    jsonio_put_object(&json, "detail");
    jsonio_put_u64(&json, "at", 1);
    jsonio_put_end(&json);
    jsonio_put_end(&json);
    (void)api_error_set(&error, API_DENIED, "two");
    api_errors_open(&json, &error);
    jsonio_put_end(&json);
    api_errors_end(&json);
    assert_string_equal(buf_text(&out),
                        "{\"errors\":["
                        "{\"code\":\"RANGE_INVALID\",\"message\":\"one\",\"detail\":{\"at\":1}},"
                        "{\"code\":\"DENIED\",\"message\":\"two\"}]}");
}

static void api_error_text_is_cut_not_overrun(void **state)
{
    struct api_error error;
    char text[2000];

    (void)state;

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)api_error_set(&error, API_UNKNOWN, "%s", text);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_error_set_takes_the_usual_status_of_the_code),
        cmocka_unit_test(api_error_from_maps_every_kind),
        cmocka_unit_test(api_error_from_uses_the_code_for_what_was_asked),
        cmocka_unit_test(api_error_print_escapes_what_came_from_outside),
        cmocka_unit_test(api_errors_print_any_number_with_details),
        cmocka_unit_test(api_error_text_is_cut_not_overrun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
