/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading the fields of keys and values. Pure; malformed bytes set a flag and do no
 * more. */
#include "records.h"

#include <string.h>

void record_init(struct record *record)
{
    record->length = 0;
    record->is_over = false;
}

void record_init_version(struct record *record, uint8_t version)
{
    record_init(record);
    record_add_u8(record, version);
}

void record_init_value(struct record *record)
{
    record_init_version(record, RECORD_VERSION);
}

static void add_bytes(struct record *record, const void *data, size_t length)
{
    if (length > RECORD_SIZE - record->length) {
        record->is_over = true;
        return;
    }
    if (length > 0)
        memcpy(record->bytes + record->length, data, length);
    record->length += length;
}

static void add_number(struct record *record, uint64_t value, unsigned width)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    add_bytes(record, bytes, width);
}

void record_add_u8(struct record *record, uint8_t value)
{
    add_number(record, value, 1);
}

void record_add_u16(struct record *record, uint16_t value)
{
    add_number(record, value, 2);
}

void record_add_u32(struct record *record, uint32_t value)
{
    add_number(record, value, 4);
}

void record_add_u64(struct record *record, uint64_t value)
{
    add_number(record, value, 8);
}

void record_add_digest(struct record *record, const struct digest *digest)
{
    if ((unsigned)digest->algorithm == 0) {
        record_add_u8(record, 0);
        return;
    }
    uint8_t binary[DIGEST_BINARY_MAX];
    add_bytes(record, binary, digest_encode(digest, binary));
}

void record_add_bytes(struct record *record, struct slice bytes)
{
    add_bytes(record, bytes.data, bytes.length);
}

void record_add_start(struct record *record, struct slice bytes, size_t length)
{
    size_t room = length > record->length ? length - record->length : 0;

    add_bytes(record, bytes.data, bytes.length < room ? bytes.length : room);
}

void record_add_text(struct record *record, struct slice text)
{
    if (text.length > UINT16_MAX) {
        record->is_over = true;
        return;
    }
    record_add_u16(record, (uint16_t)text.length);
    add_bytes(record, text.data, text.length);
}

struct slice record_bytes(const struct record *record)
{
    return slice_from(record->bytes, record->length);
}

void record_read(struct record_reader *reader, struct slice bytes)
{
    reader->rest = bytes;
    reader->is_bad = false;
}

uint8_t record_read_version(struct record_reader *reader, struct slice bytes, uint8_t newest)
{
    record_read(reader, bytes);
    uint8_t version = record_u8(reader);
    if (version == 0 || version > newest) {
        reader->is_bad = true;
        return 0;
    }
    return version;
}

void record_read_value(struct record_reader *reader, struct slice bytes)
{
    (void)record_read_version(reader, bytes, RECORD_VERSION);
}

struct slice record_part(struct record_reader *reader, size_t length)
{
    if (length > reader->rest.length) {
        reader->is_bad = true;
        reader->rest = slice_from(NULL, 0);
        return slice_from(NULL, 0);
    }
    struct slice part = slice_from(reader->rest.data, length);
    reader->rest = slice_skip(reader->rest, length);
    return part;
}

/* A record that ends before a field was written by an older program: the field is zero. */
static uint64_t number(struct record_reader *reader, unsigned width)
{
    if (reader->rest.length == 0)
        return 0;
    struct slice part = record_part(reader, width);
    uint64_t value = 0;
    for (size_t i = 0; i < part.length; i++)
        value = value << 8 | (uint8_t)part.data[i];
    return value;
}

uint8_t record_u8(struct record_reader *reader)
{
    return (uint8_t)number(reader, 1);
}

uint16_t record_u16(struct record_reader *reader)
{
    return (uint16_t)number(reader, 2);
}

uint32_t record_u32(struct record_reader *reader)
{
    return (uint32_t)number(reader, 4);
}

uint64_t record_u64(struct record_reader *reader)
{
    return number(reader, 8);
}

struct slice record_text(struct record_reader *reader)
{
    return record_part(reader, record_u16(reader));
}

void record_digest(struct record_reader *reader, struct digest *out)
{
    memset(out, 0, sizeof(*out));
    if (reader->rest.length == 0)
        return;
    if (reader->rest.data[0] == 0) {
        (void)record_u8(reader);
        return;
    }
    if (!digest_decode(&reader->rest, out)) {
        memset(out, 0, sizeof(*out));
        reader->is_bad = true;
        reader->rest = slice_from(NULL, 0);
    }
}
