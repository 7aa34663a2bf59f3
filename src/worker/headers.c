/* SPDX-License-Identifier: Apache-2.0 */
/* A field is appended whole or not at all. */
#include "headers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "oci/digest.h"

static void append(struct headers *headers, const char *data, size_t length)
{
    memcpy(headers->text + headers->length, data, length);
    headers->length += length;
}

void headers_init(struct headers *headers)
{
    headers->length = 0;
    headers_add(headers, "Docker-Distribution-Api-Version", SLICE_LITERAL("registry/2.0"));
}

void headers_add(struct headers *headers, const char *name, struct slice value)
{
    size_t name_length = strlen(name);

    if (value.length > HEADERS_SIZE ||
        headers->length + name_length + value.length + 4 > HEADERS_SIZE)
        return;
    append(headers, name, name_length);
    append(headers, ": ", 2);
    if (value.length > 0)
        append(headers, value.data, value.length);
    append(headers, "\r\n", 2);
}

void headers_addf(struct headers *headers, const char *name, const char *fmt, ...)
{
    char value[1024];
    va_list args;

    va_start(args, fmt);
    int length = vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof(value))
        headers_add(headers, name, slice_from(value, (size_t)length));
}

void headers_add_lines(struct headers *headers, struct slice lines)
{
    if (lines.length > 0 && lines.length <= HEADERS_SIZE - headers->length)
        append(headers, lines.data, lines.length);
}

void headers_add_digest(struct headers *headers, const struct digest *digest)
{
    char quoted[DIGEST_TEXT_SIZE + 2];

    quoted[0] = '"';
    digest_print(digest, quoted + 1);
    size_t length = strlen(quoted + 1);
    headers_add(headers, "Docker-Content-Digest", slice_from(quoted + 1, length));
    quoted[length + 1] = '"';
    headers_add(headers, "ETag", slice_from(quoted, length + 2));
}

struct slice headers_slice(const struct headers *headers)
{
    return slice_from(headers->text, headers->length);
}
