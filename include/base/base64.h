/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 4): padded, without line ends. (door: OpenSSL) */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;

/* Append the text of these bytes. */
void base64_print(struct buf *out, struct slice bytes);
/* Decode the text to `out`, which has room for 3 bytes for every 4 of the text, and set
 * *out_length. False if base64_print would not print this text: it has a wrong length or letter,
 * padding in the middle, or bits after its end. The contents of `out` are undefined then. */
bool base64_read(struct slice text, uint8_t *out, size_t *out_length);

#endif
