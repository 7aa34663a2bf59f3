/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owned bytes with a maximum. Invariants: length <= maximum; start + length + 1 <= capacity if
 * there is memory (the byte after the end is for the NUL of buf_text).
 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

#define CAPACITY_MIN 64

static size_t room_of(const struct buf *buf)
{
    return buf->maximum - buf->length;
}

/* Make room for `size` more bytes and the NUL. Moving the contents to the front costs at most as
 * much as was consumed since the last move; otherwise the memory doubles. Both are cheap for each
 * byte. */
static void make_room(struct buf *buf, size_t size)
{
    size_t needed = buf->start + buf->length + size + 1;
    size_t doubled = buf->capacity < CAPACITY_MIN / 2 ? CAPACITY_MIN : buf->capacity * 2;

    if (needed <= buf->capacity)
        return;
    if (buf->start && buf->start >= buf->length) {
        memmove(buf->data, buf->data + buf->start, buf->length);
        needed -= buf->start;
        buf->start = 0;
        if (needed <= buf->capacity)
            return;
    }
    if (doubled > buf->maximum + 1)
        doubled = buf->maximum + 1;
    buf->capacity = needed > doubled ? needed : doubled;
    buf->data = mem_realloc(buf->data, buf->capacity);
}

void buf_init(struct buf *buf, size_t maximum)
{
    size_t largest = SIZE_MAX / 8; /* so that sums of sizes cannot overflow */

    *buf = (struct buf){.maximum = maximum < largest ? maximum : largest};
}

void buf_cleanup(struct buf *buf)
{
    mem_free(buf->data);
    buf_init(buf, buf->maximum);
}

void buf_clear(struct buf *buf)
{
    buf->start = 0;
    buf->length = 0;
    buf->is_over = false;
}

struct slice buf_bytes(const struct buf *buf)
{
    if (!buf->data)
        return (struct slice){NULL, 0};
    return (struct slice){buf->data + buf->start, buf->length};
}

void buf_append(struct buf *buf, const void *data, size_t length)
{
    if (buf->is_over)
        return;
    if (length > room_of(buf)) {
        buf->is_over = true;
        length = room_of(buf);
    }
    if (length == 0)
        return;
    make_room(buf, length);
    memcpy(buf->data + buf->start + buf->length, data, length);
    buf->length += length;
}

void buf_append_slice(struct buf *buf, struct slice slice)
{
    buf_append(buf, slice.data, slice.length);
}

void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_append_byte(struct buf *buf, char byte)
{
    buf_append(buf, &byte, 1);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
    char *end;
    va_list again;
    int printed;
    size_t length;

    if (buf->is_over)
        return;
    make_room(buf, 0);
    end = buf->data + buf->start + buf->length;
    va_copy(again, args);
    printed = vsnprintf(end, buf->capacity - buf->start - buf->length, fmt, args);
    CHECK(printed >= 0);
    length = (size_t)printed;
    if (length > room_of(buf)) {
        buf->is_over = true;
        length = room_of(buf);
    }
    if (buf->start + buf->length + length + 1 > buf->capacity) {
        make_room(buf, length);
        end = buf->data + buf->start + buf->length;
        (void)vsnprintf(end, length + 1, fmt, again);
    }
    va_end(again);
    buf->length += length;
}

char *buf_reserve(struct buf *buf, size_t size)
{
    if (size > room_of(buf))
        return NULL;
    make_room(buf, size);
    return buf->data + buf->start + buf->length;
}

void buf_added(struct buf *buf, size_t length)
{
    CHECK(length <= room_of(buf));
    CHECK(length == 0 || buf->start + buf->length + length < buf->capacity);
    buf->length += length;
}

void buf_consume(struct buf *buf, size_t length)
{
    CHECK(length <= buf->length);
    buf->length -= length;
    buf->start = buf->length ? buf->start + length : 0;
}

const char *buf_text(struct buf *buf)
{
    make_room(buf, 0);
    buf->data[buf->start + buf->length] = '\0';
    return buf->data + buf->start;
}
