/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes: a pointer and a length. Who lends them, and for how long, is said where it is
 * stored. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *data; /* may be NULL when length is 0 */
    size_t length;
};

#define SLICE_LITERAL(text) ((struct slice){(text), sizeof(text) - 1})
/* For printf("%.*s", SLICE_PRINT(s)). */
#define SLICE_PRINT(s) (int)(s).length, (s).data ? (s).data : ""

struct slice slice_of(const char *text); /* NULL gives an empty slice */
/* The bytes at data; it need not be text. */
struct slice slice_from(const void *data, size_t length);
/* Byte for byte. */
bool slice_equal(struct slice a, struct slice b);
/* The same as this NUL-terminated text. */
bool slice_is(struct slice s, const char *text);
bool slice_is_nocase(struct slice s, const char *text); /* ASCII only */
/* An empty prefix always fits. */
bool slice_starts_with(struct slice s, const char *prefix);
/* An empty suffix always fits. */
bool slice_ends_with(struct slice s, const char *suffix);
/* Without leading and trailing space and tab. */
struct slice slice_trim(struct slice s);
/* Bytes from `start` to the end; start may not be beyond it. */
struct slice slice_skip(struct slice s, size_t start);
/* Position of a byte, or -1. */
ptrdiff_t slice_find(struct slice s, char byte);
/* Position of the last such byte, or -1. */
ptrdiff_t slice_find_last(struct slice s, char byte);
/* Cut the part before the first `separator` off *rest and return it; without one, all of it. False
 * when *rest is exhausted (an empty slice with NULL data). */
bool slice_split(struct slice *rest, char separator, struct slice *out_part);
/* A NUL-terminated copy; the caller frees it with mem_free. */
char *slice_dup(struct slice s);

#endif
