/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes: a pointer and a length. Where a slice is stored, a comment says who owns the
 * bytes and how long they live. */
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
/* Are they the same bytes? */
bool slice_equal(struct slice a, struct slice b);
/* Is it the same as this NUL-terminated text? */
bool slice_is(struct slice s, const char *text);
bool slice_is_nocase(struct slice s, const char *text); /* ASCII only */
/* An empty prefix always matches. */
bool slice_starts_with(struct slice s, const char *prefix);
/* An empty suffix always matches. */
bool slice_ends_with(struct slice s, const char *suffix);
/* Without leading and trailing space and tab. */
struct slice slice_trim(struct slice s);
/* The bytes from `start` to the end; `start` may not be beyond the end. */
struct slice slice_skip(struct slice s, size_t start);
/* The position of the first such byte, or -1. */
ptrdiff_t slice_find(struct slice s, char byte);
/* The position of the last such byte, or -1. */
ptrdiff_t slice_find_last(struct slice s, char byte);
/* Cut the part before the first `separator` off *rest, or all of it if there is no separator. False
 * if *rest is exhausted, which means that its data is NULL. */
bool slice_split(struct slice *rest, char separator, struct slice *out_part);
/* A NUL-terminated copy; the caller frees it with mem_free. */
char *slice_dup(struct slice s);

#endif
