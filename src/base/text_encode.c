/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as text: hex, percent, escapes for messages, Base64. */
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

static const char lower_digits[] = "0123456789abcdef";
static const char upper_digits[] = "0123456789ABCDEF";

void text_print_hex(const uint8_t *bytes, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++) {
        *out++ = lower_digits[bytes[i] >> 4];
        *out++ = lower_digits[bytes[i] & 15];
    }
    *out = '\0';
}

static int lower_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int any_hex_value(char c)
{
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return lower_hex_value(c);
}

bool text_read_hex(struct slice text, uint8_t *out, size_t length)
{
    if (text.length != 2 * length)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (lower_hex_value(text.data[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned high = (unsigned)lower_hex_value(text.data[2 * i]);
        unsigned low = (unsigned)lower_hex_value(text.data[2 * i + 1]);

        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* The byte that "%XX" at `at` stands for, or -1. */
static int escaped_byte(struct slice text, size_t at)
{
    int high;
    int low;

    if (text.length - at < 3)
        return -1;
    high = any_hex_value(text.data[at + 1]);
    low = any_hex_value(text.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int text_percent_decode(struct slice text, struct buf *out, struct error *err)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '\0')
            return error_set(err, ERR_INVALID, "a NUL byte at %zu", i);
        if (text.data[i] == '%' && escaped_byte(text, i) <= 0)
            return error_set(err, ERR_INVALID, "a bad percent escape at %zu", i);
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '%') {
            buf_append_byte(out, text.data[i]);
            continue;
        }
        buf_append_byte(out, (char)escaped_byte(text, i));
        i += 2;
    }
    return 0;
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void text_percent_encode(struct buf *out, struct slice text, const char *keep)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        uint8_t byte = (uint8_t)c;

        if (is_alphanumeric(c) || (c && (strchr("-._~", c) || strchr(keep, c)))) {
            buf_append_byte(out, c);
            continue;
        }
        buf_append_byte(out, '%');
        buf_append_byte(out, upper_digits[byte >> 4]);
        buf_append_byte(out, upper_digits[byte & 15]);
    }
}

void text_print_escaped(struct buf *out, struct slice text, size_t maximum)
{
    size_t shown = text.length < maximum ? text.length : maximum;

    for (size_t i = 0; i < shown; i++) {
        char c = text.data[i];
        uint8_t byte = (uint8_t)c;

        if (c == '"' || c == '\\') {
            buf_append_byte(out, '\\');
            buf_append_byte(out, c);
        } else if (byte >= 0x20 && byte < 0x7f) {
            buf_append_byte(out, c);
        } else {
            buf_append_text(out, "\\x");
            buf_append_byte(out, lower_digits[byte >> 4]);
            buf_append_byte(out, lower_digits[byte & 15]);
        }
    }
    if (shown < text.length)
        buf_append_text(out, "...");
}

void text_print_base64(struct buf *out, struct slice bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    enum {
        PADDING = 64
    };

    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t left = bytes.length - i;
        uint32_t group = (uint32_t)(uint8_t)bytes.data[i] << 16;

        if (left > 1)
            group |= (uint32_t)(uint8_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= (uint32_t)(uint8_t)bytes.data[i + 2];
        buf_append_byte(out, digits[group >> 18]);
        buf_append_byte(out, digits[group >> 12 & 63]);
        buf_append_byte(out, digits[left > 1 ? group >> 6 & 63 : PADDING]);
        buf_append_byte(out, digits[left > 2 ? group & 63 : PADDING]);
    }
}
