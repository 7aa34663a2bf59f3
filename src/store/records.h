/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte formats of keys and values (docs/storage.md). Numbers are big-endian, so that keys sort as
 * their numbers do; a digest is its binary form, or one zero byte for none; other text in values
 * has its length in front. The first byte of a value is the version of its format; a reader skips
 * what is behind the fields it knows, and finds zero where a record ends early.
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
    bool is_over; /* it was longer than RECORD_SIZE: its transaction fails */
    uint8_t bytes[RECORD_SIZE];
};

void record_init(struct record *record);       /* a key */
void record_init_value(struct record *record); /* with RECORD_VERSION in front */
/* With a version of its own in front. */
void record_init_version(struct record *record, uint8_t version);
void record_add_u8(struct record *record, uint8_t value);
void record_add_u16(struct record *record, uint16_t value);
void record_add_u32(struct record *record, uint32_t value);
void record_add_u64(struct record *record, uint64_t value);
void record_add_digest(struct record *record, const struct digest *digest);
/* Without a length: the last part of a key. */
void record_add_bytes(struct record *record, struct slice bytes);
/* As many of them as a key of `length` bytes has room for. */
void record_add_start(struct record *record, struct slice bytes, size_t length);
/* Two bytes of length, then the bytes. */
void record_add_text(struct record *record, struct slice text);
struct slice record_bytes(const struct record *record);

struct record_reader { /* borrows the bytes */
    struct slice rest;
    bool is_bad; /* cut in the middle of a field, or no version that we know */
};

void record_read(struct record_reader *reader, struct slice bytes);
/* The version in front, which is skipped; 0 and a bad record when it is over `newest`. */
uint8_t record_read_version(struct record_reader *reader, struct slice bytes, uint8_t newest);
/* Checks that it is RECORD_VERSION. */
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
