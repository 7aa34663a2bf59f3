/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to jansson. Before it may take memory, a scan counts values and depth. The scan knows
 * just enough of JSON to skip strings, and leaves it to jansson to find errors.
 */
#include "base/jsonio.h"

#include <jansson.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/text.h"

/* More values than an ordinary manifest has: MiB of memory that malloc would keep. */
#define LONG_VALUES 20000

struct jsonio {
    json_t *root;
    bool is_long; /* its memory goes back to the system when it is freed */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_structure(char c)
{
    return c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':' || c == '"';
}

/* The position after the string that starts at `at`. */
static size_t skip_string(struct slice text, size_t at)
{
    for (at++; at < text.length && text.data[at] != '"'; at++) {
        if (text.data[at] == '\\')
            at++;
    }
    return at < text.length ? at + 1 : text.length;
}

/* The position after the number, true, false, null or nonsense that starts at `at`. */
static size_t skip_word(struct slice text, size_t at)
{
    while (at < text.length && !is_space(text.data[at]) && !is_structure(text.data[at]))
        at++;
    return at;
}

static int check_limits(struct slice text, size_t values_max, size_t *out_values, struct error *err)
{
    size_t values = 0;
    size_t depth = 0;
    size_t at = 0;

    while (at < text.length) {
        char c = text.data[at];

        if (is_space(c) || c == ',' || c == ']' || c == '}') {
            depth -= depth && (c == ']' || c == '}');
            at++;
            continue;
        }
        if (c == ':') { /* the string before it was a key, not a value */
            values -= values > 0;
            at++;
            continue;
        }
        if (c == '[' || c == '{') {
            at++;
            depth++;
        } else {
            at = c == '"' ? skip_string(text, at) : skip_word(text, at);
        }
        values++;
        if (depth > JSONIO_DEPTH_MAX) {
            return error_set(err, ERR_TOO_LARGE, "the JSON is nested deeper than %d",
                             JSONIO_DEPTH_MAX);
        }
        if (values > values_max) /* an extra key comes with an extra value */
            return error_set(err, ERR_TOO_LARGE, "the JSON has more than %zu values", values_max);
    }
    *out_values = values;
    return 0;
}

/* jansson's text may quote the input, so it is escaped. */
static int refuse_document(const json_error_t *reason, struct error *err)
{
    enum json_error_code code = json_error_code(reason);
    AUTO_BUF struct buf shown;

    buf_init(&shown, 1024);
    if (code == json_error_out_of_memory)
        return error_set(err, ERR_NO_MEMORY, "there is no memory for the JSON");
    if (code == json_error_null_character || code == json_error_null_byte_in_key) {
        return error_set(err, ERR_INVALID, "line %d column %d: a string contains a NUL",
                         reason->line, reason->column);
    }
    text_print_escaped(&shown, slice_of(reason->text), 140);
    return error_set(err, ERR_INVALID, "not JSON, line %d column %d: %s", reason->line,
                     reason->column, buf_text(&shown));
}

int jsonio_parse(struct slice text, struct jsonio **out, struct error *err)
{
    return jsonio_parse_long(text, JSONIO_VALUES_MAX, out, err);
}

int jsonio_parse_long(struct slice text, size_t values_max, struct jsonio **out, struct error *err)
{
    json_error_t reason;
    json_t *root;
    size_t values = 0;
    int rc = check_limits(text, values_max, &values, err);

    if (rc)
        return rc;
    root = json_loadb(text.data ? text.data : "", text.length, JSON_REJECT_DUPLICATES, &reason);
    if (!root) {
        if (values > LONG_VALUES)
            mem_trim();
        return refuse_document(&reason, err);
    }
    *out = NEW(struct jsonio);
    (*out)->root = root;
    (*out)->is_long = values > LONG_VALUES;
    return 0;
}

void jsonio_free(struct jsonio **document)
{
    if (!*document)
        return;
    bool is_long = (*document)->is_long;
    json_decref((*document)->root);
    mem_free(*document);
    *document = NULL;
    if (is_long)
        mem_trim();
}

void jsonio_auto_free(struct jsonio **document)
{
    jsonio_free(document);
}

struct jsonio_value jsonio_root(const struct jsonio *document)
{
    return (struct jsonio_value){document->root};
}

enum jsonio_type jsonio_type(struct jsonio_value value)
{
    if (!value.node)
        return JSONIO_ABSENT;
    switch (json_typeof((const json_t *)value.node)) {
    case JSON_OBJECT:
        return JSONIO_OBJECT;
    case JSON_ARRAY:
        return JSONIO_ARRAY;
    case JSON_STRING:
        return JSONIO_STRING;
    case JSON_INTEGER:
        return JSONIO_INTEGER;
    case JSON_REAL:
        return JSONIO_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSONIO_BOOL;
    case JSON_NULL:
        return JSONIO_NULL;
    }
    return JSONIO_ABSENT;
}

struct jsonio_value jsonio_member(struct jsonio_value object, const char *key)
{
    return (struct jsonio_value){json_object_get(object.node, key)};
}

size_t jsonio_length(struct jsonio_value array)
{
    return json_array_size(array.node);
}

struct jsonio_value jsonio_element(struct jsonio_value array, size_t index)
{
    return (struct jsonio_value){json_array_get(array.node, index)};
}

struct slice jsonio_string(struct jsonio_value value)
{
    return slice_from(json_string_value(value.node), json_string_length(value.node));
}

bool jsonio_u64(struct jsonio_value value, uint64_t *out)
{
    json_int_t number;

    if (jsonio_type(value) != JSONIO_INTEGER)
        return false;
    number = json_integer_value(value.node);
    if (number < 0)
        return false;
    *out = (uint64_t)number;
    return true;
}

bool jsonio_is_true(struct jsonio_value value)
{
    return json_is_true((const json_t *)value.node);
}

void jsonio_each(struct jsonio_value object, jsonio_each_fn *each, void *arg)
{
    union {
        const void *borrowed;
        json_t *node; /* jansson's iterators lack the const */
    } same = {.borrowed = object.node};
    json_t *node = same.node;

    for (void *at = json_object_iter(node); at; at = json_object_iter_next(node, at)) {
        each(slice_from(json_object_iter_key(at), json_object_iter_key_len(at)),
             (struct jsonio_value){json_object_iter_value(at)}, arg);
    }
}

/* How many bytes at the front need no escape. */
static size_t plain_length(struct slice text)
{
    size_t length = 0;

    while (length < text.length) {
        char c = text.data[length];
        size_t step = (uint8_t)c < 0x80 ? 1 : text_utf8_length(slice_skip(text, length));

        if (step == 0 || c == '"' || c == '\\' || (uint8_t)c < 0x20)
            break;
        length += step;
    }
    return length;
}

static void write_string(struct buf *out, struct slice text)
{
    buf_append_byte(out, '"');
    for (;;) {
        size_t length = plain_length(text);

        buf_append(out, text.data, length);
        text = slice_skip(text, length);
        if (text.length == 0)
            break;
        char c = text.data[0];
        if ((uint8_t)c >= 0x80) {
            buf_append_text(out, "\\ufffd");
        } else if (c == '"' || c == '\\') {
            buf_append_byte(out, '\\');
            buf_append_byte(out, c);
        } else {
            buf_printf(out, "\\u%04x", (unsigned)c);
        }
        text = slice_skip(text, 1);
    }
    buf_append_byte(out, '"');
}

static int append_dumped(const char *text, size_t length, void *arg)
{
    buf_append(arg, text, length);
    return 0;
}

void jsonio_writer_init(struct jsonio_writer *writer, struct buf *out)
{
    *writer = (struct jsonio_writer){.out = out};
}

/* Put the comma between values of an array, or between members. */
static void put_comma(struct jsonio_writer *writer)
{
    CHECK(writer->depth > 0 || !writer->has_any[0]); /* one outermost value */
    if (writer->has_any[writer->depth])
        buf_append_byte(writer->out, ',');
    writer->has_any[writer->depth] = true;
}

void jsonio_put_key(struct jsonio_writer *writer, struct slice key)
{
    CHECK(writer->depth > 0 && writer->is_object[writer->depth - 1] && !writer->has_key);
    put_comma(writer);
    write_string(writer->out, key);
    buf_append_byte(writer->out, ':');
    writer->has_key = true;
}

/* Put what comes before a value: comma and key. */
static void begin_value(struct jsonio_writer *writer, const char *key)
{
    if (key)
        jsonio_put_key(writer, slice_of(key));
    if (!writer->has_key) {
        CHECK(writer->depth == 0 || !writer->is_object[writer->depth - 1]);
        put_comma(writer);
    }
    writer->has_key = false;
}

static void open_container(struct jsonio_writer *writer, const char *key, bool is_object)
{
    begin_value(writer, key);
    CHECK(writer->depth < JSONIO_DEPTH_MAX);
    writer->is_object[writer->depth++] = is_object;
    writer->has_any[writer->depth] = false;
    buf_append_byte(writer->out, is_object ? '{' : '[');
}

void jsonio_put_object(struct jsonio_writer *writer, const char *key)
{
    open_container(writer, key, true);
}

void jsonio_put_array(struct jsonio_writer *writer, const char *key)
{
    open_container(writer, key, false);
}

void jsonio_put_end(struct jsonio_writer *writer)
{
    CHECK(writer->depth > 0 && !writer->has_key);
    buf_append_byte(writer->out, writer->is_object[--writer->depth] ? '}' : ']');
}

void jsonio_put_string(struct jsonio_writer *writer, const char *key, struct slice text)
{
    begin_value(writer, key);
    write_string(writer->out, text);
}

void jsonio_put_text(struct jsonio_writer *writer, const char *key, const char *text)
{
    jsonio_put_string(writer, key, slice_of(text));
}

void jsonio_put_u64(struct jsonio_writer *writer, const char *key, uint64_t number)
{
    begin_value(writer, key);
    buf_printf(writer->out, "%llu", (unsigned long long)number);
}

void jsonio_put_i64(struct jsonio_writer *writer, const char *key, int64_t number)
{
    begin_value(writer, key);
    buf_printf(writer->out, "%lld", (long long)number);
}

void jsonio_put_bool(struct jsonio_writer *writer, const char *key, bool value)
{
    begin_value(writer, key);
    buf_append_text(writer->out, value ? "true" : "false");
}

void jsonio_put_null(struct jsonio_writer *writer, const char *key)
{
    begin_value(writer, key);
    buf_append_text(writer->out, "null");
}

void jsonio_put_time(struct jsonio_writer *writer, const char *key, struct walltime time)
{
    char text[32];

    walltime_print(time, text);
    jsonio_put_text(writer, key, text);
}

void jsonio_put_value(struct jsonio_writer *writer, const char *key, struct jsonio_value value)
{
    begin_value(writer, key);
    (void)json_dump_callback(value.node, append_dumped, writer->out,
                             JSON_COMPACT | JSON_ENCODE_ANY);
}

void jsonio_put_printed(struct jsonio_writer *writer, const char *key, struct slice json)
{
    begin_value(writer, key);
    buf_append_slice(writer->out, json);
}
