/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/jsonio.h"

static int parse_text(const char *text)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error err;

    return jsonio_parse(slice_of(text), &document, &err);
}

static void values_are_read_by_type(void **state)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error err;
    struct jsonio_value root;
    uint64_t number = 0;

    (void)state;
    assert_int_equal(jsonio_parse(SLICE_LITERAL("{\"size\":7,\"neg\":-1,\"real\":1.5,\"on\":true,"
                                                "\"name\":\"a\\u0041\",\"none\":null,"
                                                "\"list\":[1,{\"x\":2}]}"),
                                  &document, &err),
                     0);
    root = jsonio_root(document);
    assert_int_equal(jsonio_type(root), JSONIO_OBJECT);
    assert_true(jsonio_u64(jsonio_member(root, "size"), &number));
    assert_int_equal(number, 7);
    assert_false(jsonio_u64(jsonio_member(root, "neg"), &number));
    assert_false(jsonio_u64(jsonio_member(root, "real"), &number));
    assert_false(jsonio_u64(jsonio_member(root, "name"), &number));
    assert_int_equal(jsonio_type(jsonio_member(root, "real")), JSONIO_REAL);
    assert_int_equal(jsonio_type(jsonio_member(root, "none")), JSONIO_NULL);
    assert_int_equal(jsonio_type(jsonio_member(root, "on")), JSONIO_BOOL);
    assert_true(slice_is(jsonio_string(jsonio_member(root, "name")), "aA"));
    assert_int_equal(jsonio_length(jsonio_member(root, "list")), 2);
    assert_int_equal(jsonio_type(jsonio_element(jsonio_member(root, "list"), 1)), JSONIO_OBJECT);
}

static void absent_values_are_absent_all_the_way_down(void **state)
{
    struct jsonio_value absent = {NULL};
    uint64_t number;

    (void)state;
    assert_int_equal(jsonio_type(absent), JSONIO_ABSENT);
    assert_int_equal(jsonio_type(jsonio_member(absent, "x")), JSONIO_ABSENT);
    assert_int_equal(jsonio_type(jsonio_element(absent, 0)), JSONIO_ABSENT);
    assert_int_equal(jsonio_length(absent), 0);
    assert_int_equal(jsonio_string(absent).length, 0);
    assert_false(jsonio_u64(absent, &number));
}

static void nonsense_is_refused(void **state)
{
    const char *bad[] = {"",
                         "{",
                         "[1,]",
                         "{\"a\":1,\"a\":2}",
                         "{\"a\":{\"b\":1,\"b\":1}}",
                         "[1] x",
                         "[\"\xff\"]",
                         "[\"\xc0\x80\"]",
                         "[\"\\ud800\"]",
                         "[\"\\u0000\"]",
                         "[99999999999999999999]",
                         "[01]",
                         "[NaN]",
                         "\"open",
                         "[\"a\nb\"]",
                         "]",
                         "}}}",
                         "[\"\\"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse_text(bad[i]) != -ERR_INVALID)
            fail_msg("%zu: %s", i, bad[i]);
    }
}

static void errors_say_where_and_are_printable(void **state)
{
    struct jsonio *document = NULL;
    struct error err;

    (void)state;
    assert_int_equal(jsonio_parse(SLICE_LITERAL("{\n  \"a\": \x01\x1b[31m}"), &document, &err),
                     -ERR_INVALID);
    assert_null(document);
    assert_non_null(strstr(err.text, "line 2"));
    assert_int_equal(jsonio_parse(slice_of("[\"\\u0000\"]"), &document, &err), -ERR_INVALID);
    assert_string_equal(err.text, "line 1 column 9: a string contains a NUL");
    for (const char *c = err.text; *c; c++)
        assert_true(*c >= 0x20 && *c < 0x7f);
}

static void depth_is_limited(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    for (int depth = 1; depth <= JSONIO_DEPTH_MAX + 1; depth++) {
        buf_clear(&buf);
        for (int i = 0; i < depth; i++)
            buf_append_byte(&buf, '[');
        for (int i = 0; i < depth; i++)
            buf_append_byte(&buf, ']');
        assert_int_equal(parse_text(buf_text(&buf)),
                         depth <= JSONIO_DEPTH_MAX ? 0 : -ERR_TOO_LARGE);
    }
    assert_int_equal(parse_text("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ \\\" [[[[[[[\"]"), 0);
}

/* A document of exactly so many values: the array and count - 1 in it. */
static int parse_values(struct buf *buf, unsigned count, const char *first, const char *more)
{
    buf_clear(buf);
    buf_append_text(buf, first);
    for (unsigned i = 2; i < count; i++)
        buf_append_text(buf, more);
    buf_append_byte(buf, first[0] == '[' ? ']' : '}');
    return parse_text(buf_text(buf));
}

static void number_of_values_is_limited(void **state)
{
    AUTO_BUF struct buf buf;
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error err;

    (void)state;
    buf_init(&buf, 1000000);
    assert_int_equal(parse_values(&buf, JSONIO_VALUES_MAX, "[1", ",1"), 0);
    assert_int_equal(parse_values(&buf, JSONIO_VALUES_MAX + 1, "[1", ",1"), -ERR_TOO_LARGE);
    assert_int_equal(parse_values(&buf, JSONIO_VALUES_MAX, "[\",\\\"\"", ",\",\\\"\""), 0);
    assert_int_equal(parse_values(&buf, JSONIO_VALUES_MAX + 1, "[\"\"", ",\"\""), -ERR_TOO_LARGE);
    assert_int_equal(parse_values(&buf, JSONIO_VALUES_MAX + 1, "[{}", ",{}"), -ERR_TOO_LARGE);
    assert_int_equal(jsonio_parse_long(buf_bytes(&buf), JSONIO_VALUES_MAX + 1, &document, &err), 0);
    jsonio_free(&document);
    assert_int_equal(jsonio_parse_long(slice_of("[1,2]"), 2, &document, &err), -ERR_TOO_LARGE);
}

static void keys_are_not_counted_as_values(void **state)
{
    AUTO_BUF struct buf buf;

    (void)state;
    buf_init(&buf, 2000000);
    buf_append_byte(&buf, '{');
    for (int i = 1; i < JSONIO_VALUES_MAX; i++)
        buf_printf(&buf, "%s\"k%d\" : 1", i > 1 ? "," : "", i);
    buf_append_byte(&buf, '}');
    assert_int_equal(parse_text(buf_text(&buf)), 0);
}

static void sum_members(struct slice key, struct jsonio_value value, void *arg)
{
    uint64_t *sum = arg;
    uint64_t number = 0;

    assert_int_equal(key.length, 1);
    assert_true(jsonio_u64(value, &number));
    *sum += number;
}

static void each_visits_all_members(void **state)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error err;
    uint64_t sum = 0;

    (void)state;
    assert_int_equal(jsonio_parse(SLICE_LITERAL("{\"a\":1,\"b\":2,\"c\":4}"), &document, &err), 0);
    jsonio_each(jsonio_root(document), sum_members, &sum);
    assert_int_equal(sum, 7);
    jsonio_each((struct jsonio_value){NULL}, sum_members, &sum);
    assert_int_equal(sum, 7);
}

static void written_strings_are_escaped_and_valid(void **state)
{
    AUTO_BUF struct buf buf;
    struct jsonio_writer writer;

    (void)state;
    buf_init(&buf, 200);
    jsonio_writer_init(&writer, &buf);
    jsonio_put_string(&writer, NULL,
                      slice_from("a\"\\\n\0\x7f\xc3\xa9\xff\xe2\x82\xf0\x9f\x90\xb3", 15));
    assert_string_equal(buf_text(&buf), "\"a\\\"\\\\\\u000a\\u0000\x7f\xc3\xa9\\ufffd\\ufffd"
                                        "\\ufffd\xf0\x9f\x90\xb3\"");
    buf_clear(&buf);
    jsonio_writer_init(&writer, &buf);
    jsonio_put_string(&writer, NULL, slice_from("\xed\xa0\x80", 3)); /* a surrogate is not UTF-8 */
    assert_string_equal(buf_text(&buf), "\"\\ufffd\\ufffd\\ufffd\"");
}

static void a_writer_puts_commas_keys_and_escapes(void **state)
{
    AUTO_BUF struct buf buf;
    AUTO_JSONIO struct jsonio *document = NULL;
    struct jsonio_writer writer;
    struct error err;

    (void)state;
    assert_int_equal(jsonio_parse(slice_of("[1.5, {\"a\" : null}]"), &document, &err), 0);
    buf_init(&buf, 1000);
    jsonio_writer_init(&writer, &buf);
    jsonio_put_object(&writer, NULL);
    jsonio_put_text(&writer, "a\"b", "c\nd");
    jsonio_put_array(&writer, "numbers");
    jsonio_put_u64(&writer, NULL, UINT64_MAX);
    jsonio_put_i64(&writer, NULL, INT64_MIN);
    jsonio_put_end(&writer);
    jsonio_put_array(&writer, "empty");
    jsonio_put_end(&writer);
    jsonio_put_object(&writer, "none");
    jsonio_put_end(&writer);
    jsonio_put_array(&writer, "objects");
    for (int i = 0; i < 2; i++) {
        jsonio_put_object(&writer, NULL);
        jsonio_put_bool(&writer, "is", i == 0);
        jsonio_put_null(&writer, "not");
        jsonio_put_end(&writer);
    }
    jsonio_put_end(&writer);
    jsonio_put_time(&writer, "at", (struct walltime){1700000000123});
    jsonio_put_value(&writer, "read", jsonio_root(document));
    jsonio_put_key(&writer, SLICE_LITERAL("k\xff"));
    jsonio_put_array(&writer, NULL);
    jsonio_put_text(&writer, NULL, "v");
    jsonio_put_end(&writer);
    jsonio_put_end(&writer);
    assert_int_equal(writer.depth, 0);
    assert_string_equal(buf_text(&buf),
                        "{\"a\\\"b\":\"c\\u000ad\",\"numbers\":[18446744073709551615,"
                        "-9223372036854775808],\"empty\":[],\"none\":{},"
                        "\"objects\":[{\"is\":true,\"not\":null},{\"is\":false,\"not\":null}],"
                        "\"at\":\"2023-11-14T22:13:20.123Z\",\"read\":[1.5,{\"a\":null}],"
                        "\"k\\ufffd\":[\"v\"]}");
    jsonio_free(&document);
    /* What is written as deep as it may be can be read. */
    buf_clear(&buf);
    jsonio_writer_init(&writer, &buf);
    jsonio_put_array(&writer, NULL);
    for (int depth = 1; depth < JSONIO_DEPTH_MAX; depth++)
        jsonio_put_array(&writer, NULL);
    while (writer.depth > 0)
        jsonio_put_end(&writer);
    assert_int_equal(parse_text(buf_text(&buf)), 0);
}

static void a_writer_keeps_to_the_buffers_maximum(void **state)
{
    AUTO_BUF struct buf buf;
    struct jsonio_writer writer;

    (void)state;
    buf_init(&buf, 10);
    jsonio_writer_init(&writer, &buf);
    jsonio_put_array(&writer, NULL);
    for (int i = 0; i < 100; i++)
        jsonio_put_text(&writer, NULL, "xxxxxxxx");
    jsonio_put_end(&writer);
    assert_true(buf.is_over);
    assert_int_equal(buf.length, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_by_type),
        cmocka_unit_test(absent_values_are_absent_all_the_way_down),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(errors_say_where_and_are_printable),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(number_of_values_is_limited),
        cmocka_unit_test(keys_are_not_counted_as_values),
        cmocka_unit_test(each_visits_all_members),
        cmocka_unit_test(written_strings_are_escaped_and_valid),
        cmocka_unit_test(a_writer_puts_commas_keys_and_escapes),
        cmocka_unit_test(a_writer_keeps_to_the_buffers_maximum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
