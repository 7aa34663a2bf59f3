/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, sizes, durations, hex and patterns as text. Parsing is strict: no sign, no space,
 * nothing after the value. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct error;

/* Decimal digits only, at most 20. ERR_INVALID; ERR_TOO_LARGE over 2^64-1. */
int text_parse_u64(struct slice text, uint64_t *out, struct error *err);
/* "64KiB", "10MB", "5GiB", "1024": bytes. B, K/KB/KiB… all count by 1024. ERR_INVALID,
 * ERR_TOO_LARGE. */
int text_parse_size(struct slice text, uint64_t *out_bytes, struct error *err);
/* "250ms", "10s", "5m", "1h", "30d", a bare number is seconds: milliseconds. ERR_INVALID,
 * ERR_TOO_LARGE. */
int text_parse_duration(struct slice text, uint64_t *out_ms, struct error *err);
/* Print the shortest exact form: "64KiB", "1GiB", "1000". */
void text_print_size(struct buf *out, uint64_t bytes);
void text_print_duration(struct buf *out, uint64_t ms);

/* Lower-case hex; out has room for 2 * length + 1. */
void text_print_hex(const uint8_t *bytes, size_t length, char *out);
/* Lower-case hex only; text.length must be 2 * length. */
bool text_read_hex(struct slice text, uint8_t *out, size_t length);

/* Percent-decode (RFC 3986 2.1); '+' is left alone. ERR_INVALID on a bad escape or a NUL. */
int text_percent_decode(struct slice text, struct buf *out, struct error *err);
/* Percent-encode everything but unreserved characters and those in `keep`. */
void text_percent_encode(struct buf *out, struct slice text, const char *keep);

/* Patterns of the configuration: '*' is any bytes except '/', '**' is any bytes, '?' is one byte
 * except '/'. A pattern that ends in "/" and one '*' matches everything below it, as people expect
 * of "library/" and a star; a single star matches everything. */
bool text_matches(struct slice pattern, struct slice text);

/* The number of single edits between two words, at most 4: for "did you mean". */
unsigned text_distance(struct slice a, struct slice b);

/* Print text from outside for a message: quotes and backslashes are escaped, bytes that are not
 * printable ASCII become \xNN, and at most `maximum` bytes of `text` are shown. */
void text_print_escaped(struct buf *out, struct slice text, size_t maximum);

/* The length in bytes of the UTF-8 character at the front (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF); 0 if there is none. */
size_t text_utf8_length(struct slice text);

#endif
