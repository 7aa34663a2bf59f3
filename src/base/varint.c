/* SPDX-License-Identifier: Apache-2.0 */
/* LEB128. Most numbers between roles are small: one or two bytes instead of eight. */
#include "base/varint.h"

#include "base/buf.h"

#define BYTES_MAX 10

void varint_append(struct buf *out, uint64_t number)
{
    char bytes[BYTES_MAX];
    size_t length = 0;

    while (number >= 0x80) {
        bytes[length++] = (char)(number % 0x80 + 0x80);
        number /= 0x80;
    }
    bytes[length++] = (char)number;
    buf_append(out, bytes, length);
}

bool varint_cut(struct slice *bytes, uint64_t *out)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < BYTES_MAX && i < bytes->length; i++) {
        unsigned char byte = (unsigned char)bytes->data[i];

        if (i == BYTES_MAX - 1 && byte > 1)
            return false; /* the 65th bit */
        number |= (uint64_t)(byte & 0x7fu) << (7 * i);
        if (byte < 0x80) {
            *bytes = slice_skip(*bytes, (size_t)i + 1);
            *out = number;
            return true;
        }
    }
    return false;
}
