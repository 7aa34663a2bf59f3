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
/* Write the bytes of the text to `out`, which has room for 3 bytes for every 4 of the text, and say
 * how many they are. False, and the room is not to be used, when the text is not the one that
 * base64_print makes: a wrong length or letter, padding in the middle, bits after the end. */
bool base64_read(struct slice text, uint8_t *out, size_t *out_length);

#endif
