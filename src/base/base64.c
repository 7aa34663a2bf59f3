/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 by OpenSSL. Its decoder ignores white space around the text and the unused bits at its
 * end, so two texts could mean the same bytes; the text is checked first.
 */
#include "base/base64.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"

#define PIECE 3072 /* bytes, a multiple of 3 */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_print(struct buf *out, struct slice bytes)
{
    uint8_t text[PIECE / 3 * 4 + 1];

    while (bytes.length > 0) {
        size_t length = bytes.length < PIECE ? bytes.length : PIECE;
        int printed = EVP_EncodeBlock(text, (const uint8_t *)bytes.data, (int)length);

        buf_append(out, text, (size_t)printed);
        bytes = slice_skip(bytes, length);
    }
}

/* The bits of the last letter that belong to no byte must be zero. */
static bool is_canonical(struct slice text, size_t padding)
{
    const char *last = text.data + text.length - padding - 1;
    const char *letter = strchr(letters, *last);
    size_t unused = padding == 2 ? 15 : padding == 1 ? 3 : 0;

    return letter && ((size_t)(letter - letters) & unused) == 0;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static bool is_base64(struct slice text, size_t padding)
{
    for (size_t i = 0; i < text.length - padding; i++) {
        if (!is_letter(text.data[i]))
            return false;
    }
    return is_canonical(text, padding);
}

bool base64_read(struct slice text, uint8_t *out, size_t *out_length)
{
    size_t padding = slice_ends_with(text, "==") ? 2 : slice_ends_with(text, "=") ? 1 : 0;

    if (text.length % 4 != 0 || text.length > INT32_MAX)
        return false;
    if (text.length > 0 && !is_base64(text, padding))
        return false;
    int length = EVP_DecodeBlock(out, (const uint8_t *)text.data, (int)text.length);
    CHECK(length >= 0 || text.length == 0);
    *out_length = text.length / 4 * 3 - padding;
    return true;
}
