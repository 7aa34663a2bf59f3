/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event on stderr:
 *
 *   2026-09-18T10:11:12.345Z info worker[3] conn=812 op=pull_blob "served from store"
 *
 * It never blocks: lines that stderr does not take at once are dropped and counted (log_dropped).
 * The format is text or JSON. Values are escaped. log_open opens /proc/self/fd/2 again with
 * O_NONBLOCK instead of setting it on the description that is shared with other processes.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* How important a line is. */
enum log_level {
    LOG_ERROR, /* an operator must act */
    LOG_WARN,  /* something went wrong and was handled */
    LOG_INFO,  /* what requests and processes do */
    LOG_DEBUG,
};

/* The formats that the configuration can choose. */
enum log_format {
    LOG_TEXT,
    LOG_JSON,
};

/* Names the writer in each line: "worker[3]", or without a number if slot is -1. `role` is borrowed
 * until log_close. */
void log_open(const char *role, int slot, enum log_level level, enum log_format format);
void log_close(void);
/* Another level and format for the lines that begin from now on. Other threads may be logging. */
void log_set(enum log_level level, enum log_format format);
/* The role that was given to log_open; "" before. */
const char *log_role(void);
/* From now on the lines of this thread are kept and written together by log_flush, or when there
 * are 64 KiB of them; errors and warnings are written at once. Only one thread may do so: the
 * loop's, which flushes once in a turn. */
void log_batch(bool is_on);
/* Write the lines that are kept. */
void log_flush(void);
bool log_is_on(enum log_level level);
uint64_t log_dropped(void);

/* A line under construction. Usage:
 *
 *   struct log_line line;
 *   log_begin(&line, LOG_INFO);
 *   log_u64(&line, "conn", 812);
 *   log_text(&line, "op", "pull_blob");
 *   log_end(&line, "served from store");
 *
 * The calls do nothing if the level is off. A line is cut after 4 KiB. */
struct log_line {
    bool is_on;
    enum log_format format;
    bool is_urgent; /* an error or a warning: not kept for the end of the turn */
    unsigned length;
    char text[4096];
};

/* Starts the line with the time, the level and the writer. */
void log_begin(struct log_line *line, enum log_level level);
/* A field with a number. */
void log_u64(struct log_line *line, const char *key, uint64_t value);
/* A field with text; NULL is an empty one. */
void log_text(struct log_line *line, const char *key, const char *value);
/* A field with at most 1 KiB of these bytes. */
void log_slice(struct log_line *line, const char *key, struct slice value);
/* A field made by a format. */
/* A time in milliseconds with one digit after the point; a number in JSON too. */
void log_ms(struct log_line *line, const char *key, uint64_t us);
void log_printf(struct log_line *line, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the message and writes the line. */
void log_end(struct log_line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line without fields. */
void log_say(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
