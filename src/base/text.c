/* SPDX-License-Identifier: Apache-2.0 */
/* Parses numbers, sizes and durations strictly, and checks for overflows. */
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"

struct unit {
    const char *name;
    uint64_t factor;
};

#define KIB ((uint64_t)1024)

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", KIB},
    {"Ki", KIB},
    {"KB", KIB},
    {"KiB", KIB},
    {"M", KIB *KIB},
    {"Mi", KIB *KIB},
    {"MB", KIB *KIB},
    {"MiB", KIB *KIB},
    {"G", KIB *KIB *KIB},
    {"Gi", KIB *KIB *KIB},
    {"GB", KIB *KIB *KIB},
    {"GiB", KIB *KIB *KIB},
    {"T", KIB *KIB *KIB *KIB},
    {"Ti", KIB *KIB *KIB *KIB},
    {"TB", KIB *KIB *KIB *KIB},
    {"TiB", KIB *KIB *KIB *KIB},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"", 1000},
    {"ms", 1},
    {"s", 1000},
    {"m", (uint64_t)60 * 1000},
    {"h", (uint64_t)60 * 60 * 1000},
    {"d", (uint64_t)24 * 60 * 60 * 1000},
    {NULL, 0},
};

/* Messages quote text from outside only in part, and escaped. */
static int refuse_text(struct error *err, enum error_kind kind, struct slice text, const char *why)
{
    AUTO_BUF struct buf shown;

    buf_init(&shown, 256);
    text_print_escaped(&shown, text, 32);
    return error_set(err, kind, "\"%s\" %s", buf_text(&shown), why);
}

static size_t count_digits(struct slice text)
{
    size_t count = 0;

    while (count < text.length && text.data[count] >= '0' && text.data[count] <= '9')
        count++;
    return count;
}

/* Digits only, at least one; false when the number is over 2^64-1. */
static bool read_digits(struct slice digits, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < digits.length; i++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(digits.data[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

int text_parse_u64(struct slice text, uint64_t *out, struct error *err)
{
    size_t digits = count_digits(text);

    if (digits == 0 || digits != text.length || digits > 20)
        return refuse_text(err, ERR_INVALID, text, "is not a number");
    if (!read_digits(text, out))
        return refuse_text(err, ERR_TOO_LARGE, text, "is too large a number");
    return 0;
}

static int parse_with_unit(struct slice text, const struct unit *units, const char *expected,
                           uint64_t *out, struct error *err)
{
    size_t digits = count_digits(text);
    struct slice name = slice_skip(text, digits);
    uint64_t value;

    while (units->name && !slice_is_nocase(name, units->name))
        units++;
    if (digits == 0 || !units->name)
        return refuse_text(err, ERR_INVALID, text, expected);
    if (!read_digits(slice_from(text.data, digits), &value) ||
        __builtin_mul_overflow(value, units->factor, &value))
        return refuse_text(err, ERR_TOO_LARGE, text, "is too large");
    *out = value;
    return 0;
}

int text_parse_size(struct slice text, uint64_t *out_bytes, struct error *err)
{
    return parse_with_unit(text, size_units, "is not a size like 512KiB, 64MiB or 10GiB", out_bytes,
                           err);
}

int text_parse_duration(struct slice text, uint64_t *out_ms, struct error *err)
{
    return parse_with_unit(text, duration_units, "is not a duration like 250ms, 10s, 5m, 1h or 30d",
                           out_ms, err);
}

void text_print_size(struct buf *out, uint64_t bytes)
{
    static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (bytes && bytes % KIB == 0 && unit + 1 < sizeof(names) / sizeof(names[0])) {
        bytes /= KIB;
        unit++;
    }
    buf_printf(out, "%" PRIu64 "%s", bytes, names[unit]);
}

void text_print_duration(struct buf *out, uint64_t ms)
{
    const struct unit *best = &duration_units[1];

    for (const struct unit *unit = best; unit->name; unit++) {
        if (ms % unit->factor == 0 && (ms || unit->factor <= 1000))
            best = unit;
    }
    buf_printf(out, "%" PRIu64 "%s", ms / best->factor, best->name);
}
