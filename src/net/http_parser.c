/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses request heads in one pass over the bytes, line by line:
 *
 *   request line: bytes → is it complete? → method, target, version
 *   fields:       bytes → is it complete? → name, value, what framing needs
 *   end:          what the fields say together (http_head.c)
 *
 * Invariant: errors are found in the order of the bytes, so a head that arrives in pieces is
 * refused for the same reason as one that arrives at once, at the first byte that decides it.
 * Nothing is remembered between calls.
 */
#include "net/http_parser.h"

#include <string.h>

#include "base/check.h"
#include "http_bytes.h"
#include "http_head.h"
#include "net/proxy_header.h"

#define METHOD_MAX      64
#define HEADER_NAME_MAX 256

enum http_verdict http_refuse(struct http_refusal *refusal, int status, const char *reason)
{
    refusal->status = status;
    refusal->reason = reason;
    return HTTP_REFUSED;
}

/* The bytes, and how far they were read. `length` is how far they may be: to the end of what has
 * come, or of what a head may have. */
struct cursor {
    const char *data;
    size_t length;
    size_t at;
    size_t total; /* bytes that have come */
    size_t limit; /* how long this head may be */
};

static void allow_head(struct cursor *cursor, size_t limit)
{
    cursor->limit = limit;
    cursor->length = cursor->total < limit ? cursor->total : limit;
}

/* The cursor is at a CR, which a LF must follow. */
static enum http_verdict take_line_end(struct cursor *cursor, struct http_refusal *refusal)
{
    if (cursor->at + 1 >= cursor->length)
        return HTTP_MORE;
    if (cursor->data[cursor->at + 1] != '\n')
        return http_refuse(refusal, 400, "A line must end with CR LF.");
    cursor->at += 2;
    return HTTP_HEAD;
}

static enum http_verdict refuse_line_byte(char byte, struct http_refusal *refusal)
{
    if (byte == '\n')
        return http_refuse(refusal, 400, "A line must end with CR LF.");
    return http_refuse(refusal, 400, "The request line contains an invalid byte.");
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static enum http_verdict read_version(struct slice text, struct http_head *out,
                                      struct http_refusal *refusal)
{
    if (text.length == 8 && memcmp(text.data, "HTTP/1.", 7) == 0 &&
        (text.data[7] == '0' || text.data[7] == '1')) {
        out->minor = text.data[7] == '1' ? 1 : 0;
        return HTTP_HEAD;
    }
    bool is_http = text.length >= 6 && memcmp(text.data, "HTTP/", 5) == 0 && is_digit(text.data[5]);
    bool is_other = is_http && text.length == 8 && text.data[6] == '.' && is_digit(text.data[7]);
    bool is_short = is_http && text.length == 6 && text.data[5] != '1';
    if (is_other || is_short)
        return http_refuse(refusal, 505, "Only HTTP/1.1 and HTTP/1.0 are supported.");
    return http_refuse(refusal, 400, "The request line is not \"METHOD target HTTP/1.1\".");
}

static enum http_verdict read_method(struct slice method, struct http_refusal *refusal)
{
    if (!http_bytes_are(method, BYTE_TOKEN))
        return http_refuse(refusal, 400, "The method is not a token.");
    if (method.length > METHOD_MAX)
        return http_refuse(refusal, 501, "The method is too long.");
    for (size_t i = 0; i < method.length; i++) {
        if (method.data[i] >= 'a' && method.data[i] <= 'z')
            return http_refuse(refusal, 501, "Methods are written in upper case.");
    }
    return HTTP_HEAD;
}

/* Checks bytes and percent-encoding; the form is checked when Host is known. */
static enum http_verdict read_target(struct slice target, struct http_refusal *refusal)
{
    for (size_t i = 0; i < target.length; i++) {
        char byte = target.data[i];

        if (!http_byte_is(byte, BYTE_TARGET))
            return http_refuse(refusal, 400, "The target has a byte that must be encoded.");
        if (byte != '%')
            continue;
        if (i + 2 >= target.length || !http_byte_is(target.data[i + 1], BYTE_HEX) ||
            !http_byte_is(target.data[i + 2], BYTE_HEX))
            return http_refuse(refusal, 400, "The target has a percent sign without two digits.");
    }
    if (slice_is(target, "*"))
        return HTTP_HEAD; /* its method is checked with the complete head */
    if (target.length == 0 || (target.data[0] != '/' && !http_target_is_absolute(target)))
        return http_refuse(refusal, 400, "The target must begin with a slash.");
    return HTTP_HEAD;
}

static enum http_verdict split_request_line(struct slice line, struct http_head *out,
                                            struct http_refusal *refusal)
{
    const char *not_line = "The request line is not \"METHOD target HTTP/1.1\".";
    const char *space = memchr(line.data, ' ', line.length);

    if (!space)
        return http_refuse(refusal, 400, not_line);
    out->method = slice_from(line.data, (size_t)(space - line.data));
    struct slice rest = slice_skip(line, out->method.length + 1);
    space = memchr(rest.data, ' ', rest.length);
    if (!space)
        return http_refuse(refusal, 400, not_line);
    out->target = slice_from(rest.data, (size_t)(space - rest.data));
    enum http_verdict verdict = read_method(out->method, refusal);
    if (verdict == HTTP_HEAD)
        verdict = read_version(slice_skip(rest, out->target.length + 1), out, refusal);
    if (verdict == HTTP_HEAD)
        verdict = read_target(out->target, refusal);
    return verdict;
}

static enum http_verdict read_request_line(struct cursor *cursor, size_t line_max,
                                           struct http_head *out, struct http_refusal *refusal)
{
    const char *line = cursor->data + cursor->at;
    size_t left = cursor->length - cursor->at;
    size_t length = 0;

    while (length < left && length <= line_max && http_byte_is(line[length], BYTE_LINE))
        length++;
    if (length > line_max && !memchr(line, ' ', length < METHOD_MAX ? length : METHOD_MAX + 1))
        return http_refuse(refusal, 400, "The request line has no method.");
    if (length > line_max)
        return http_refuse(refusal, 414, "The request line is too long.");
    if (length == left)
        return HTTP_MORE;
    if (line[length] != '\r')
        return refuse_line_byte(line[length], refusal);
    cursor->at += length;
    enum http_verdict verdict = take_line_end(cursor, refusal);
    if (verdict != HTTP_HEAD)
        return verdict;
    return split_request_line(slice_from(line, length), out, refusal);
}

static enum http_verdict refuse_name_byte(char byte, size_t position, struct http_refusal *refusal)
{
    if (position == 0 && (byte == ' ' || byte == '\t'))
        return http_refuse(refusal, 400, "Folded header lines are not accepted.");
    if (byte == '\r' || byte == '\n')
        return http_refuse(refusal, 400, "A header line has no colon.");
    return http_refuse(refusal, 400, "A header name contains an invalid byte.");
}

static enum http_verdict read_name(struct cursor *cursor, struct slice *out,
                                   struct http_refusal *refusal)
{
    const char *name = cursor->data + cursor->at;
    size_t left = cursor->length - cursor->at;
    size_t length = 0;

    while (length < left && http_byte_is(name[length], BYTE_TOKEN))
        length++;
    if (length > HEADER_NAME_MAX)
        return http_refuse(refusal, 431, "A header name is too long.");
    if (length == left)
        return HTTP_MORE;
    if (name[length] != ':' || length == 0)
        return refuse_name_byte(name[length], length, refusal);
    *out = slice_from(name, length);
    cursor->at += length + 1;
    return HTTP_HEAD;
}

/* A value over its limit is refused with `excess`. */
static enum http_verdict read_value(struct cursor *cursor, size_t value_max, struct slice *out,
                                    const struct http_refusal *excess, struct http_refusal *refusal)
{
    while (cursor->at < cursor->length &&
           (cursor->data[cursor->at] == ' ' || cursor->data[cursor->at] == '\t'))
        cursor->at++;
    const char *value = cursor->data + cursor->at;
    size_t left = cursor->length - cursor->at;
    size_t length = 0;
    while (length < left && length <= value_max && http_byte_is(value[length], BYTE_VALUE))
        length++;
    if (length > value_max)
        return http_refuse(refusal, excess->status, excess->reason);
    if (length == left)
        return HTTP_MORE;
    if (value[length] == '\n')
        return http_refuse(refusal, 400, "A line must end with CR LF.");
    if (value[length] != '\r')
        return http_refuse(refusal, 400, "A header value contains an invalid byte.");
    cursor->at += length;
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--;
    *out = slice_from(value, length);
    return take_line_end(cursor, refusal);
}

static enum http_verdict refuse_head(struct http_refusal *refusal)
{
    return http_refuse(refusal, 431, "The request head is too large.");
}

/* Range has a limit of its own, and its bytes do not count as the head's: clients that read parts
 * of a blob ask for many ranges at once. It is read once. */
static enum http_verdict read_range(struct cursor *cursor, const struct http_limits *limits,
                                    bool *has_range, struct slice *out,
                                    struct http_refusal *refusal)
{
    static const struct http_refusal excess = {
        400, "The Range field is too long. Ask for fewer ranges at once."};
    size_t limit = cursor->limit;

    if (*has_range)
        return http_refuse(refusal, 400, "There is more than one Range.");
    *has_range = true;
    allow_head(cursor, limit + limits->range_max);
    enum http_verdict verdict = read_value(cursor, limits->range_max, out, &excess, refusal);
    if (verdict != HTTP_HEAD)
        return verdict;
    allow_head(cursor, limit + out->length);
    /* Blanks around the value are the head's, and may have led past its end. */
    return cursor->at > cursor->limit ? refuse_head(refusal) : HTTP_HEAD;
}

static enum http_verdict read_field(struct cursor *cursor, const struct http_limits *limits,
                                    bool *has_range, struct http_header *out,
                                    struct http_refusal *refusal)
{
    static const struct http_refusal excess = {431, "A header value is too long."};
    enum http_verdict verdict = read_name(cursor, &out->name, refusal);

    if (verdict != HTTP_HEAD)
        return verdict;
    /* The length first: most fields are others. */
    if (out->name.length == sizeof("Range") - 1 && slice_is_nocase(out->name, "Range"))
        return read_range(cursor, limits, has_range, &out->value, refusal);
    return read_value(cursor, limits->value_max, &out->value, &excess, refusal);
}

/* Reads all fields and the empty line that follows them. */
static enum http_verdict read_fields(struct cursor *cursor, const struct http_limits *limits,
                                     struct http_head *out, struct http_framing *framing,
                                     struct http_refusal *refusal)
{
    bool has_range = false;

    out->header_count = 0;
    for (;;) {
        if (cursor->at == cursor->length)
            return HTTP_MORE;
        if (cursor->data[cursor->at] == '\r')
            return take_line_end(cursor, refusal);
        if (out->header_count == limits->fields_max)
            return http_refuse(refusal, 431, "There are too many header fields.");
        struct http_header *header = &out->headers[out->header_count];
        enum http_verdict verdict = read_field(cursor, limits, &has_range, header, refusal);
        if (verdict != HTTP_HEAD)
            return verdict;
        out->header_count++;
        http_framing_note(framing, header);
    }
}

static enum http_verdict read_head(struct cursor *cursor, const struct http_limits *limits,
                                   struct http_head *out, struct http_refusal *refusal)
{
    if (cursor->length > 0 && cursor->data[0] == 0x16) {
        return http_refuse(refusal, 400,
                           "This port speaks plain HTTP, but the client began a TLS handshake.");
    }
    if (proxy_header_is_begun(slice_from(cursor->data, cursor->length))) {
        return http_refuse(refusal, 400,
                           "This address does not expect the PROXY protocol (listen: "
                           "proxy_protocol).");
    }
    if (cursor->length > 0 && cursor->data[0] == '\r') {
        enum http_verdict blank = take_line_end(cursor, refusal);

        if (blank != HTTP_HEAD)
            return blank;
    }
    struct http_framing framing = {0};
    enum http_verdict verdict = read_request_line(cursor, limits->line_max, out, refusal);
    if (verdict == HTTP_HEAD)
        verdict = read_fields(cursor, limits, out, &framing, refusal);
    if (verdict == HTTP_HEAD)
        verdict = http_framing_decide(&framing, out, refusal);
    return verdict;
}

enum http_verdict http_parse_head(struct slice bytes, const struct http_limits *limits,
                                  struct http_head *out, size_t *out_length,
                                  struct http_refusal *refusal)
{
    struct cursor cursor = {.data = bytes.data, .total = bytes.length};

    CHECK(limits->fields_max <= HTTP_HEADERS_MAX);
    allow_head(&cursor, limits->head_max);
    enum http_verdict verdict = read_head(&cursor, limits, out, refusal);
    if (verdict == HTTP_MORE && cursor.length == cursor.limit)
        return refuse_head(refusal);
    if (verdict == HTTP_HEAD)
        *out_length = cursor.at;
    return verdict;
}

const struct slice *http_head_find(const struct http_head *head, const char *name)
{
    for (unsigned i = 0; i < head->header_count; i++) {
        if (slice_is_nocase(head->headers[i].name, name))
            return &head->headers[i].value;
    }
    return NULL;
}

unsigned http_head_count(const struct http_head *head, const char *name)
{
    unsigned count = 0;

    for (unsigned i = 0; i < head->header_count; i++) {
        if (slice_is_nocase(head->headers[i].name, name))
            count++;
    }
    return count;
}
