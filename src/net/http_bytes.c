/* SPDX-License-Identifier: Apache-2.0 */
/* The table of bytes. */
#include "http_bytes.h"

/* Letters for the rows below. */
#define _ 0
#define O BYTE_VALUE               /* tab, obs-text */
#define V (BYTE_VALUE | BYTE_LINE) /* space, backslash */
#define D (V | BYTE_TARGET)        /* delimiters */
#define S (D | BYTE_TOKEN)         /* symbols of tokens */
#define T (V | BYTE_TOKEN)         /* '#' */
#define L (S | BYTE_HOST)          /* letters, '-', '.', '_', '~' */
#define H (L | BYTE_HEX)           /* hex digits */

/* clang-format off */
const uint8_t http_byte_classes[256] = {
    _, _, _, _, _, _, _, _, _, O, _, _, _, _, _, _, /* 00 */
    _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, /* 10 */
    V, S, D, T, S, S, S, S, D, D, S, S, D, L, L, D, /* 20 */
    H, H, H, H, H, H, H, H, H, H, D, D, D, D, D, D, /* 30 */
    D, H, H, H, H, H, H, L, L, L, L, L, L, L, L, L, /* 40 */
    L, L, L, L, L, L, L, L, L, L, L, D, V, D, S, L, /* 50 */
    S, H, H, H, H, H, H, L, L, L, L, L, L, L, L, L, /* 60 */
    L, L, L, L, L, L, L, L, L, L, L, D, S, D, L, _, /* 70 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 80 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 90 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* a0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* b0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* c0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* d0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* e0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* f0 */
};
/* clang-format on */

bool http_bytes_are(struct slice text, enum byte_class class)
{
    for (size_t i = 0; i < text.length; i++) {
        if (!http_byte_is(text.data[i], class))
            return false;
    }
    return text.length > 0;
}
