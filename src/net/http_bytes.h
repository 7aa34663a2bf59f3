/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes HTTP allows where: one table for all of the parser. */
#ifndef NET_HTTP_BYTES_H
#define NET_HTTP_BYTES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum byte_class {
    BYTE_TOKEN = 1,  /* RFC 9110 5.6.2 */
    BYTE_TARGET = 2, /* visible ASCII except '#' and '\' */
    BYTE_VALUE = 4,  /* visible, space, tab, obs-text */
    BYTE_LINE = 8,   /* visible ASCII and space: all that a request line may have */
    BYTE_HEX = 16,
    BYTE_HOST = 32, /* names in Host */
};

extern const uint8_t http_byte_classes[256];

static inline bool http_byte_is(char byte, unsigned classes)
{
    return (http_byte_classes[(unsigned char)byte] & classes) != 0;
}

/* True if there is at least one byte and all are of that class. */
bool http_bytes_are(struct slice text, enum byte_class class);

#endif
