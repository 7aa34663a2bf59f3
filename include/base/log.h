/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event on stderr:
 *
 *   2026-09-18T10:11:12.345Z info worker[3] conn=812 req=5 op=pull_blob status=200 "served from
 * store"
 *
 * Never blocks: what stderr does not take at once is dropped and counted (log_dropped). Text or
 * JSON. Fields come from the call and from the context of the object the line is about. Values are
 * escaped; secrets have no printer. log_open opens /proc/self/fd/2 anew with O_NONBLOCK; never sets
 * it on the shared description.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* How much anybody should care. */
enum log_level {
    LOG_ERROR, /* someone must act */
    LOG_WARN,  /* we coped */
    LOG_INFO,  /* life of requests and roles */
    LOG_DEBUG,
};

/* As the configuration chooses. */
enum log_format {
    LOG_TEXT,
    LOG_JSON,
};

/* Who writes: "worker", 3 (slot -1: none). Borrowed until log_close. */
void log_open(const char *role, int slot, enum log_level level, enum log_format format);
void log_close(void);
/* The role given to log_open; "" before it. */
const char *log_role(void);
/* From now on the lines of this thread (one thread only) are kept and written together by
 * log_flush, at the latest when 64 KiB are there; errors and warnings at once. The loop does this,
 * once a turn. */
void log_batch(bool is_on);
/* Write what is kept. */
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
 * All calls do nothing when the level is off. A line is at most 4 KiB; more is cut. */
struct log_line {
    bool is_on;
    bool is_urgent; /* an error or a warning: not kept for the end of the turn */
    unsigned length;
    char text[4096];
};

/* Starts the line with time, level and who writes. */
void log_begin(struct log_line *line, enum log_level level);
/* A field with a number. */
void log_u64(struct log_line *line, const char *key, uint64_t value);
/* A field with text; NULL is empty. */
void log_text(struct log_line *line, const char *key, const char *value);
/* A field with bytes, at most 1 KiB of them. */
void log_slice(struct log_line *line, const char *key, struct slice value);
/* A field made by a format. */
void log_printf(struct log_line *line, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The sentence; writes the line. */
void log_end(struct log_line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line without fields. */
void log_say(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
