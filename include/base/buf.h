/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owned bytes that grow up to a maximum, which is given at the start, so that nothing from outside
 * can grow a buffer without a limit. Appending beyond the maximum sets is_over and drops the rest,
 * so the caller needs to check only once, at the end.
 *
 *   data                   data + start          data + start + length      data + capacity
 *    |--- consumed ---------|--- what buf_bytes() is ---|--- room --------------|
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf {
    char *data;
    size_t start;
    size_t length;
    size_t capacity;
    size_t maximum;
    bool is_over;
};

/* Empty and without memory. It never holds more than `maximum` bytes. */
void buf_init(struct buf *buf, size_t maximum);
/* Frees the memory; the buffer is empty and may be used again. Safe on a zeroed struct. */
void buf_cleanup(struct buf *buf);
#define AUTO_BUF __attribute__((cleanup(buf_cleanup)))

void buf_clear(struct buf *buf); /* keeps the memory, clears is_over */
/* The contents; borrowed until the next change. */
struct slice buf_bytes(const struct buf *buf);

/* Append bytes as far as the maximum allows. */
void buf_append(struct buf *buf, const void *data, size_t length);
void buf_append_slice(struct buf *buf, struct slice slice);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_byte(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Room for at least `size` more bytes after the end; NULL if the maximum does not allow it. */
char *buf_reserve(struct buf *buf, size_t size);
/* `length` bytes were written into the reserved room. */
void buf_added(struct buf *buf, size_t length);
/* Drop bytes from the front. */
void buf_consume(struct buf *buf, size_t length);
/* The contents with a NUL after them, which is not counted; borrowed until the next change. */
const char *buf_text(struct buf *buf);

#endif
