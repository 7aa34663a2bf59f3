/* SPDX-License-Identifier: Apache-2.0 */
/* Time. The three globals are the state of the frozen clocks, which only tests use. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

static atomic_bool is_frozen;
static _Atomic uint64_t frozen_mono_ms;
static _Atomic uint64_t frozen_wall_ms;

/* 9999-12-31: the texts of later times would not fit. */
#define PRINTABLE_MS_MAX 253402300799999

static struct timespec read_clock(clockid_t id)
{
    struct timespec now;

    CHECK(clock_gettime(id, &now) == 0);
    return now;
}

static uint64_t to_ms(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

struct monotime clock_mono(void)
{
    if (atomic_load_explicit(&is_frozen, memory_order_relaxed))
        return (struct monotime){frozen_mono_ms};
    return (struct monotime){to_ms(read_clock(CLOCK_BOOTTIME))};
}

struct walltime clock_wall(void)
{
    if (atomic_load_explicit(&is_frozen, memory_order_relaxed))
        return (struct walltime){frozen_wall_ms};
    return (struct walltime){to_ms(read_clock(CLOCK_REALTIME))};
}

uint64_t clock_mono_us(void)
{
    struct timespec now;

    if (atomic_load_explicit(&is_frozen, memory_order_relaxed))
        return frozen_mono_ms * 1000;
    now = read_clock(CLOCK_BOOTTIME);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t monotime_since(struct monotime later, struct monotime earlier)
{
    return later.ms > earlier.ms ? later.ms - earlier.ms : 0;
}

struct monotime monotime_add(struct monotime time, uint64_t ms)
{
    return (struct monotime){time.ms > UINT64_MAX - ms ? UINT64_MAX : time.ms + ms};
}

void clock_freeze(struct monotime mono, struct walltime wall)
{
    frozen_mono_ms = mono.ms;
    frozen_wall_ms = wall.ms;
    is_frozen = true;
}

void clock_advance(uint64_t ms)
{
    CHECK(is_frozen);
    frozen_mono_ms += ms;
    frozen_wall_ms += ms;
}

void clock_thaw(void)
{
    is_frozen = false;
}

static struct tm calendar_of(struct walltime time)
{
    uint64_t ms = time.ms < PRINTABLE_MS_MAX ? time.ms : PRINTABLE_MS_MAX;
    time_t seconds = (time_t)(ms / 1000);
    struct tm calendar;

    CHECK(gmtime_r(&seconds, &calendar));
    return calendar;
}

/* Puts `width` decimal digits and returns the place after them. */
static char *put_digits(char *out, unsigned value, unsigned width)
{
    for (unsigned i = width; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + width;
}

static char *put_clock(char *out, const struct tm *calendar)
{
    out = put_digits(out, (unsigned)calendar->tm_hour, 2);
    *out++ = ':';
    out = put_digits(out, (unsigned)calendar->tm_min, 2);
    *out++ = ':';
    return put_digits(out, (unsigned)calendar->tm_sec, 2);
}

static char *put_text(char *out, const char *text)
{
    while (*text)
        *out++ = *text++;
    return out;
}

void walltime_print(struct walltime time, char out[32])
{
    struct tm calendar = calendar_of(time);
    unsigned ms = time.ms < PRINTABLE_MS_MAX ? (unsigned)(time.ms % 1000) : 999;

    out = put_digits(out, (unsigned)calendar.tm_year + 1900, 4);
    *out++ = '-';
    out = put_digits(out, (unsigned)calendar.tm_mon + 1, 2);
    *out++ = '-';
    out = put_digits(out, (unsigned)calendar.tm_mday, 2);
    *out++ = 'T';
    out = put_clock(out, &calendar);
    *out++ = '.';
    out = put_digits(out, ms, 3);
    *out++ = 'Z';
    *out = '\0';
}

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void walltime_print_http(struct walltime time, char out[32])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    struct tm calendar = calendar_of(time);

    out = put_text(out, days[calendar.tm_wday]);
    out = put_text(out, ", ");
    out = put_digits(out, (unsigned)calendar.tm_mday, 2);
    *out++ = ' ';
    out = put_text(out, months[calendar.tm_mon]);
    *out++ = ' ';
    out = put_digits(out, (unsigned)calendar.tm_year + 1900, 4);
    *out++ = ' ';
    out = put_clock(out, &calendar);
    out = put_text(out, " GMT");
    *out = '\0';
}

/* The bytes need not be digits: walltime_parse_http compares the printed result with the text. */
static int digits_at(struct slice text, size_t at, unsigned width)
{
    int value = 0;

    for (unsigned i = 0; i < width; i++)
        value = value * 10 + (text.data[at + i] - '0');
    return value;
}

bool walltime_parse_http(struct slice text, struct walltime *out)
{
    char again[32];

    if (text.length != strlen("Sun, 06 Nov 1994 08:49:37 GMT"))
        return false;
    struct tm calendar = {
        .tm_mday = digits_at(text, 5, 2),
        .tm_year = digits_at(text, 12, 4) - 1900,
        .tm_hour = digits_at(text, 17, 2),
        .tm_min = digits_at(text, 20, 2),
        .tm_sec = digits_at(text, 23, 2),
    };
    while (calendar.tm_mon < 11 && memcmp(text.data + 8, months[calendar.tm_mon], 3) != 0)
        calendar.tm_mon++;
    time_t seconds = timegm(&calendar);
    if (seconds < 0)
        return false;
    struct walltime time = {(uint64_t)seconds * 1000};
    walltime_print_http(time, again);
    if (!slice_is(text, again))
        return false;
    *out = time;
    return true;
}
