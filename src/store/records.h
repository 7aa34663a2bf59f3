/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte formats of keys and values (docs/storage.md). Numbers are big-endian, so that keys sort as
 * their numbers do; a digest is its binary form, or one zero byte for none; other text in values
 * has its length in front. The first byte of a value is the version of its format; a reader skips
 * fields that it does not know at the end, and takes missing ones for zero.
 */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"

#define RECORD_SIZE    2048 /* no key and no small value is longer */
#define RECORD_VERSION 1

struct record { /* a key or a value being written */
    size_t length;
    bool is_over; /* longer than RECORD_SIZE: the transaction fails */
    uint8_t bytes[RECORD_SIZE];
};

void record_init(struct record *record);       /* a key */
void record_init_value(struct record *record); /* with RECORD_VERSION in front */
/* A value with a version of its own in front. */
void record_init_version(struct record *record, uint8_t version);
void record_add_u8(struct record *record, uint8_t value);
void record_add_u16(struct record *record, uint16_t value);
void record_add_u32(struct record *record, uint32_t value);
void record_add_u64(struct record *record, uint64_t value);
void record_add_digest(struct record *record, const struct digest *digest);
/* Adds bytes without their length: the last part of a key. */
void record_add_bytes(struct record *record, struct slice bytes);
/* Adds as many of the bytes as fit, until the key has `length` bytes. */
void record_add_start(struct record *record, struct slice bytes, size_t length);
/* Two bytes of length, then the bytes. */
void record_add_text(struct record *record, struct slice text);
struct slice record_bytes(const struct record *record);

struct record_reader { /* borrows the bytes */
    struct slice rest;
    bool is_bad; /* cut off within a field, or an unknown version */
};

void record_read(struct record_reader *reader, struct slice bytes);
/* Reads the version in front. If it is unknown (over `newest`), 0, and the record is bad. */
uint8_t record_read_version(struct record_reader *reader, struct slice bytes, uint8_t newest);
/* The same for records whose only version is RECORD_VERSION. */
void record_read_value(struct record_reader *reader, struct slice bytes);
uint8_t record_u8(struct record_reader *reader);
uint16_t record_u16(struct record_reader *reader);
uint32_t record_u32(struct record_reader *reader);
uint64_t record_u64(struct record_reader *reader);
/* The next `length` bytes. */
struct slice record_part(struct record_reader *reader, size_t length);
struct slice record_text(struct record_reader *reader);
/* Algorithm 0 for none. */
void record_digest(struct record_reader *reader, struct digest *out);

#endif
