/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event; it never waits for the reader. Invariant: a line that was cut still ends
 * properly (closing quote and brace, newline). A line is one write, except on the thread that runs
 * a loop: log_flush writes its lines of one turn together, and lines that are not taken wait for
 * the next write.
 *
 *   |0 ... head, fields ... FIELDS_END| ... message ... MESSAGE_END| "}\n |4096
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#define FIELDS_END  3072
#define MESSAGE_END 4088
#define VALUE_MAX   1024
#define BATCH_SIZE  ((size_t)64 * 1024)

enum sink {
    SINK_PLAIN,       /* descriptor 2 as it is: before log_open */
    SINK_NONBLOCKING, /* our own open file of the same target */
    SINK_SOCKET, /* descriptor 2 is a socket, which cannot be opened again: send with MSG_DONTWAIT
                  */
    SINK_POLLED, /* it may not be opened again: poll before each write */
};

/* The log is the only object that every part uses without being given it. */
static struct {
    enum sink sink;
    int fd;
    const char *role;
    int slot;
    _Atomic enum log_format format;
    _Atomic enum log_level level;
    _Atomic uint64_t dropped;
} logger = {.sink = SINK_PLAIN, .fd = -1, .slot = -1, .level = LOG_INFO};

/* Set in the thread whose lines are kept. */
static _Thread_local bool is_batching;
static struct {
    size_t length;
    char text[BATCH_SIZE];
} batch;

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

void log_open(const char *role, int slot, enum log_level level, enum log_format format)
{
    log_close();
    logger.role = role;
    logger.slot = slot;
    log_set(level, format);
    logger.fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (logger.fd >= 0)
        logger.sink = SINK_NONBLOCKING;
    else
        logger.sink = errno == ENXIO ? SINK_SOCKET : SINK_POLLED;
}

void log_set(enum log_level level, enum log_format format)
{
    logger.level = level;
    logger.format = format;
}

const char *log_role(void)
{
    return logger.role ? logger.role : "";
}

void log_close(void)
{
    log_batch(false);
    fd_close(&logger.fd);
    logger.sink = SINK_PLAIN;
    logger.role = NULL;
    logger.slot = -1;
    log_set(LOG_INFO, LOG_TEXT);
}

bool log_is_on(enum log_level level)
{
    return level <= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return logger.dropped;
}

static bool takes_more(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};

    return poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLOUT);
}

static ssize_t write_now(const char *text, size_t length)
{
    switch (logger.sink) {
    case SINK_PLAIN:
        return write(STDERR_FILENO, text, length);
    case SINK_NONBLOCKING:
        return write(logger.fd, text, length);
    case SINK_SOCKET:
        return send(STDERR_FILENO, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    case SINK_POLLED:
        return takes_more(STDERR_FILENO) ? write(STDERR_FILENO, text, length) : -1;
    }
    return -1;
}

void log_batch(bool is_on)
{
    log_flush();
    is_batching = is_on;
}

void log_flush(void)
{
    int saved = errno;

    if (!is_batching || batch.length == 0)
        return;
    ssize_t written = write_now(batch.text, batch.length);
    if (written > 0) {
        batch.length -= (size_t)written;
        memmove(batch.text, batch.text + written, batch.length);
    }
    errno = saved;
}

static void send_line(const char *text, size_t length)
{
    if (!is_batching) {
        if (write_now(text, length) != (ssize_t)length)
            logger.dropped++;
        return;
    }
    if (length > BATCH_SIZE - batch.length)
        log_flush();
    if (length > BATCH_SIZE - batch.length) {
        logger.dropped++;
        return;
    }
    memcpy(batch.text + batch.length, text, length);
    batch.length += length;
}

/* Puts all of the text, or nothing if it would not fit before `end`. */
static bool put(struct log_line *line, unsigned end, const char *text)
{
    size_t length = strlen(text);

    if (length > end || line->length > end - length)
        return false;
    memcpy(line->text + line->length, text, length);
    line->length += (unsigned)length;
    return true;
}

/* Puts one byte of a quoted value. Bytes that are not printable ASCII are shown as \xNN in both
 * formats; in JSON the backslash is escaped in turn. */
static bool put_escaped(struct log_line *line, unsigned end, char c)
{
    static const char hex[] = "0123456789abcdef";
    const char *backslash = line->format == LOG_JSON ? "\\\\" : "\\";
    uint8_t byte = (uint8_t)c;

    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
        if (line->length >= end)
            return false;
        line->text[line->length++] = c;
        return true;
    }
    if (c == '"' || c == '\\')
        return put(line, end, (char[]){'\\', c, '\0'});
    if (c == '\n')
        return put(line, end, "\\n");
    return put(line, end - 4, backslash) && /* puts all of it or nothing */
           put(line, end, (char[]){'x', hex[byte >> 4], hex[byte & 15], '\0'});
}

/* Puts a quoted value, which is cut at `end`; after it there is always room for the last quote. */
static void put_quoted(struct log_line *line, unsigned end, struct slice value)
{
    size_t i = 0;

    (void)put(line, end, "\"");
    while (i < value.length && put_escaped(line, end, value.data[i]))
        i++;
    (void)put(line, MESSAGE_END + 4, "\"");
}

static bool put_key(struct log_line *line, const char *key)
{
    unsigned before = line->length;
    bool is_json = line->format == LOG_JSON;

    if (put(line, FIELDS_END, is_json ? ",\"" : " ") && put(line, FIELDS_END, key) &&
        put(line, FIELDS_END, is_json ? "\":\"\"" : "=\"\"")) {
        line->length -= 2; /* there was room for an empty value */
        return true;
    }
    line->length = before;
    return false;
}

static bool is_bare_word(struct slice value)
{
    for (size_t i = 0; i < value.length; i++) {
        uint8_t byte = (uint8_t)value.data[i];

        if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '=')
            return false;
    }
    return value.length > 0;
}

static void put_head_text(struct log_line *line, const char *now, const char *level)
{
    char slot[24];

    (void)put(line, FIELDS_END, now);
    (void)put(line, FIELDS_END, " ");
    (void)put(line, FIELDS_END, level);
    if (!logger.role)
        return;
    (void)put(line, FIELDS_END, " ");
    (void)put(line, FIELDS_END, logger.role);
    if (logger.slot < 0)
        return;
    (void)snprintf(slot, sizeof(slot), "[%d]", logger.slot);
    (void)put(line, FIELDS_END, slot);
}

static void put_head_json(struct log_line *line, const char *now, const char *level)
{
    char head[128];

    (void)snprintf(head, sizeof(head), "{\"time\":\"%s\",\"level\":\"%s\"", now, level);
    (void)put(line, FIELDS_END, head);
    if (!logger.role)
        return;
    (void)snprintf(head, sizeof(head), ",\"role\":\"%.40s\"", logger.role);
    (void)put(line, FIELDS_END, head);
    if (logger.slot < 0)
        return;
    (void)snprintf(head, sizeof(head), ",\"slot\":%d", logger.slot);
    (void)put(line, FIELDS_END, head);
}

void log_begin(struct log_line *line, enum log_level level)
{
    int saved = errno;
    char now[32];

    line->is_on = log_is_on(level);
    line->is_urgent = level <= LOG_WARN;
    line->format = logger.format;
    line->length = 0;
    if (!line->is_on)
        return;
    walltime_print(clock_wall(), now);
    if (line->format == LOG_JSON)
        put_head_json(line, now, level_names[level]);
    else
        put_head_text(line, now, level_names[level]);
    errno = saved;
}

void log_u64(struct log_line *line, const char *key, uint64_t value)
{
    char digits[24];
    unsigned before = line->length;

    if (!line->is_on || !put_key(line, key))
        return;
    char *at = digits + sizeof(digits);
    *--at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (!put(line, FIELDS_END, at))
        line->length = before;
}

void log_ms(struct log_line *line, const char *key, uint64_t us)
{
    char value[32];
    unsigned before = line->length;

    if (!line->is_on || !put_key(line, key))
        return;
    uint64_t tenths = (us + 50) / 100;
    (void)snprintf(value, sizeof(value), "%llu.%llu", (unsigned long long)(tenths / 10),
                   (unsigned long long)(tenths % 10));
    if (!put(line, FIELDS_END, value))
        line->length = before;
}

void log_text(struct log_line *line, const char *key, const char *value)
{
    log_slice(line, key, slice_of(value));
}

void log_slice(struct log_line *line, const char *key, struct slice value)
{
    if (value.length > VALUE_MAX)
        value.length = VALUE_MAX;
    if (!line->is_on || !put_key(line, key))
        return;
    if (line->format == LOG_TEXT && is_bare_word(value) &&
        value.length <= FIELDS_END - line->length) {
        memcpy(line->text + line->length, value.data, value.length);
        line->length += (unsigned)value.length;
        return;
    }
    put_quoted(line, FIELDS_END, value);
}

void log_printf(struct log_line *line, const char *key, const char *fmt, ...)
{
    char value[VALUE_MAX];
    va_list args;

    if (!line->is_on)
        return;
    va_start(args, fmt);
    (void)vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    log_text(line, key, value);
}

static void __attribute__((format(printf, 2, 0)))
end_line(struct log_line *line, const char *fmt, va_list args)
{
    bool is_json = line->format == LOG_JSON;
    char message[VALUE_MAX];
    int saved = errno;

    if (!line->is_on)
        return;
    (void)vsnprintf(message, sizeof(message), fmt, args);
    (void)put(line, MESSAGE_END, is_json ? ",\"message\":" : " ");
    put_quoted(line, MESSAGE_END, slice_of(message));
    (void)put(line, sizeof(line->text), is_json ? "}\n" : "\n");
    send_line(line->text, line->length);
    if (line->is_urgent)
        log_flush();
    line->is_on = false;
    errno = saved;
}

void log_end(struct log_line *line, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    end_line(line, fmt, args);
    va_end(args);
}

void log_say(enum log_level level, const char *fmt, ...)
{
    struct log_line line;
    va_list args;

    log_begin(&line, level);
    va_start(args, fmt);
    end_line(&line, fmt, args);
    va_end(args);
}
