/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as text: hex, percent-encoding, escapes for messages, UTF-8. */
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

size_t text_utf8_length(struct slice text)
{
    const uint8_t *bytes = (const uint8_t *)text.data;

    if (text.length == 0)
        return 0;
    uint8_t first = bytes[0];
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4 || length == 0 || length > text.length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
        (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return length;
}
