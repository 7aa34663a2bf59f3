/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes JSON by typed calls. Before a document takes memory, a scan checks its number of
 * values and its depth. Duplicate keys are refused. (door: jansson)
 */
#ifndef BASE_JSONIO_H
#define BASE_JSONIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/slice.h"

struct buf;
struct error;
struct jsonio; /* a parsed document; values are borrowed from it */

#define JSONIO_VALUES_MAX 50000
#define JSONIO_DEPTH_MAX  32

/* A value inside a document, valid as long as the document. A zeroed struct is an absent value. */
struct jsonio_value {
    const void *node;
};

/* What a value is. Numbers with a fraction or an exponent are REAL. */
enum jsonio_type {
    JSONIO_ABSENT,
    JSONIO_NULL,
    JSONIO_BOOL,
    JSONIO_INTEGER,
    JSONIO_REAL,
    JSONIO_STRING,
    JSONIO_ARRAY,
    JSONIO_OBJECT,
};

/* ERR_INVALID (not JSON, duplicate keys, invalid UTF-8, trailing bytes); ERR_TOO_LARGE (values,
 * depth); ERR_NO_MEMORY. */
int jsonio_parse(struct slice text, struct jsonio **out, struct error *err);
/* The same with another limit, for lists and manifests that may be long. A value takes 100 to 400
 * bytes. */
int jsonio_parse_long(struct slice text, size_t values_max, struct jsonio **out, struct error *err);
void jsonio_free(struct jsonio **document);
void jsonio_auto_free(struct jsonio **document);
#define AUTO_JSONIO __attribute__((cleanup(jsonio_auto_free)))

/* The outermost value: an object or an array. */
struct jsonio_value jsonio_root(const struct jsonio *document);
enum jsonio_type jsonio_type(struct jsonio_value value);
/* Absent if there is no such key. */
struct jsonio_value jsonio_member(struct jsonio_value object, const char *key);
/* 0 if it is not an array. */
size_t jsonio_length(struct jsonio_value array);
/* Absent beyond the end. */
struct jsonio_value jsonio_element(struct jsonio_value array, size_t index);
/* Empty if it is not a string. */
struct slice jsonio_string(struct jsonio_value value);
/* False when it is not an integer of 0 or more. */
bool jsonio_u64(struct jsonio_value value, uint64_t *out);
/* True for `true` alone. */
bool jsonio_is_true(struct jsonio_value value);
/* Calls `each` for every member; the order is not defined. */
typedef void jsonio_each_fn(struct slice key, struct jsonio_value value, void *arg);
void jsonio_each(struct jsonio_value object, jsonio_each_fn *each, void *arg);

/*
 * Writes a document into a buffer, one value after the other. The maximum of the buffer bounds the
 * text: check is_over at the end. The writer puts commas, quotes and escapes, and U+FFFD for bytes
 * that are not UTF-8. Members are given with their key, elements of arrays and the outermost value
 * with NULL. The text may be sent and dropped from the buffer before the document is complete: the
 * writer does not look back.
 *
 *   jsonio_writer_init(&writer, &buf);
 *   jsonio_put_object(&writer, NULL);
 *   jsonio_put_text(&writer, "name", "library/nginx");
 *   jsonio_put_array(&writer, "tags");
 *   jsonio_put_text(&writer, NULL, "latest");
 *   jsonio_put_end(&writer);
 *   jsonio_put_end(&writer);
 */
struct jsonio_writer {
    struct buf *out; /* borrowed */
    unsigned depth;
    bool has_key;                     /* jsonio_put_key was called for the next value */
    bool is_object[JSONIO_DEPTH_MAX]; /* what is open */
    bool has_any[JSONIO_DEPTH_MAX + 1];
};

/* Start a document. */
void jsonio_writer_init(struct jsonio_writer *writer, struct buf *out);
/* Open an object or an array; jsonio_put_end closes the innermost one. At most JSONIO_DEPTH_MAX. */
void jsonio_put_object(struct jsonio_writer *writer, const char *key);
void jsonio_put_array(struct jsonio_writer *writer, const char *key);
void jsonio_put_end(struct jsonio_writer *writer);
/* Write one value. */
void jsonio_put_string(struct jsonio_writer *writer, const char *key, struct slice text);
void jsonio_put_text(struct jsonio_writer *writer, const char *key, const char *text);
void jsonio_put_u64(struct jsonio_writer *writer, const char *key, uint64_t number);
void jsonio_put_i64(struct jsonio_writer *writer, const char *key, int64_t number);
void jsonio_put_bool(struct jsonio_writer *writer, const char *key, bool value);
void jsonio_put_null(struct jsonio_writer *writer, const char *key);
/* RFC 3339 in UTC, with milliseconds. */
void jsonio_put_time(struct jsonio_writer *writer, const char *key, struct walltime time);
/* Write a value that was read, without white space. */
void jsonio_put_value(struct jsonio_writer *writer, const char *key, struct jsonio_value value);
/* A value that was printed before. */
void jsonio_put_printed(struct jsonio_writer *writer, const char *key, struct slice json);
/* Write a key that is not constant. The next call gives its value, with NULL as the key. */
void jsonio_put_key(struct jsonio_writer *writer, struct slice key);

#endif
