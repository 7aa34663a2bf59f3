/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes. Invariant: `data` is dereferenced only if `length` is not 0. */
#include "base/slice.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/check.h"

struct slice slice_of(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

struct slice slice_from(const void *data, size_t length)
{
    return (struct slice){data, length};
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool slice_is(struct slice s, const char *text)
{
    return slice_equal(s, slice_of(text));
}

static int to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool slice_is_nocase(struct slice s, const char *text)
{
    if (s.length != strlen(text))
        return false;
    for (size_t i = 0; i < s.length; i++) {
        if (to_lower(s.data[i]) != to_lower(text[i]))
            return false;
    }
    return true;
}

bool slice_starts_with(struct slice s, const char *prefix)
{
    size_t length = strlen(prefix);

    return s.length >= length && slice_equal((struct slice){s.data, length}, slice_of(prefix));
}

bool slice_ends_with(struct slice s, const char *suffix)
{
    size_t length = strlen(suffix);

    return s.length >= length &&
           slice_equal(slice_skip(s, s.length - length), (struct slice){suffix, length});
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.length && is_blank(s.data[0]))
        s = slice_skip(s, 1);
    while (s.length && is_blank(s.data[s.length - 1]))
        s.length--;
    return s;
}

struct slice slice_skip(struct slice s, size_t start)
{
    CHECK(start <= s.length);
    if (start == 0)
        return s;
    return (struct slice){s.data + start, s.length - start};
}

ptrdiff_t slice_find(struct slice s, char byte)
{
    const char *at = s.length ? memchr(s.data, byte, s.length) : NULL;

    return at ? at - s.data : -1;
}

ptrdiff_t slice_find_last(struct slice s, char byte)
{
    const char *at = s.length ? memrchr(s.data, byte, s.length) : NULL;

    return at ? at - s.data : -1;
}

bool slice_split(struct slice *rest, char separator, struct slice *out_part)
{
    ptrdiff_t at;

    if (!rest->data)
        return false;
    at = slice_find(*rest, separator);
    if (at < 0) {
        *out_part = *rest;
        *rest = (struct slice){NULL, 0};
        return true;
    }
    *out_part = (struct slice){rest->data, (size_t)at};
    *rest = slice_skip(*rest, (size_t)at + 1);
    return true;
}

char *slice_dup(struct slice s)
{
    return mem_strndup(s.data, s.length);
}
