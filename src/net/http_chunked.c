/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder of chunked bodies: a state machine that takes framing byte by byte and data in
 * pieces.
 *
 *   SIZE ──;──→ extensions ──→ SIZE_LF ──→ DATA → DATA_CR → DATA_LF → SIZE …
 *                                 └─(0)──→ TRAILER → name : value CR LF → TRAILER … CR LF → OVER
 *
 * It is stricter than the grammar: no white space, a size of at most 16 digits, at most 256 bytes
 * of extensions, 4 KiB and 19 lines of trailers, and at most 80 % framing in a body over 100 KiB.
 */
#include "net/http_parser.h"

#include "base/check.h"
#include "http_bytes.h"
#include "http_head.h"

#define SIZE_DIGITS_MAX 16
#define SIZE_MAX_BITS   52
#define EXTENSION_MAX   256
#define TRAILER_MAX     4096
#define TRAILER_LINES   19
#define OVERHEAD_FROM   (100UL * 1024)

enum chunked_state {
    CHUNKED_SIZE_START = 0,
    CHUNKED_SIZE,
    CHUNKED_NAME_START, /* of an extension */
    CHUNKED_NAME,
    CHUNKED_VALUE_START,
    CHUNKED_VALUE,
    CHUNKED_QUOTED,
    CHUNKED_QUOTED_PAIR,
    CHUNKED_QUOTED_END,
    CHUNKED_SIZE_LF,
    CHUNKED_IN_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER_START,
    CHUNKED_TRAILER_NAME,
    CHUNKED_TRAILER_VALUE,
    CHUNKED_TRAILER_LF,
    CHUNKED_LAST_LF,
    CHUNKED_OVER,
    CHUNKED_BROKEN,
};

void http_chunked_init(struct http_chunked *chunked)
{
    *chunked = (struct http_chunked){0};
}

static void chunked_set_state(struct http_chunked *chunked, enum chunked_state next)
{
    CHECK(chunked->state != CHUNKED_OVER && chunked->state != CHUNKED_BROKEN);
    chunked->state = next;
}

static enum chunked_state broken(struct http_refusal *refusal, const char *reason)
{
    http_refuse(refusal, 400, reason);
    return CHUNKED_BROKEN;
}

static unsigned hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return (unsigned)(byte - '0');
    return (unsigned)((byte | 0x20) - 'a' + 10);
}

static enum chunked_state on_size(struct http_chunked *chunked, char byte,
                                  struct http_refusal *refusal)
{
    if (http_byte_is(byte, BYTE_HEX)) {
        if (++chunked->digits > SIZE_DIGITS_MAX || chunked->remaining >> (SIZE_MAX_BITS - 4) != 0)
            return broken(refusal, "A chunk size is too large.");
        chunked->remaining = chunked->remaining * 16 + hex_value(byte);
        return CHUNKED_SIZE;
    }
    if (chunked->digits == 0 || (byte != ';' && byte != '\r'))
        return broken(refusal, "A chunk size is not a hexadecimal number.");
    if (byte == '\r')
        return CHUNKED_SIZE_LF;
    chunked->line_length = 1; /* the ';' */
    return CHUNKED_NAME_START;
}

/* After a name, a token or a closing quote. */
static enum chunked_state on_extension_end(char byte, struct http_refusal *refusal)
{
    if (byte == ';')
        return CHUNKED_NAME_START;
    if (byte == '\r')
        return CHUNKED_SIZE_LF;
    return broken(refusal, "A chunk extension is malformed.");
}

static enum chunked_state on_quoted(char byte, struct http_refusal *refusal)
{
    if (byte == '"')
        return CHUNKED_QUOTED_END;
    if (byte == '\\')
        return CHUNKED_QUOTED_PAIR;
    if (!http_byte_is(byte, BYTE_VALUE))
        return broken(refusal, "A chunk extension is malformed.");
    return CHUNKED_QUOTED;
}

static enum chunked_state on_extension(struct http_chunked *chunked, char byte,
                                       struct http_refusal *refusal)
{
    enum chunked_state state = chunked->state;

    if (++chunked->line_length > EXTENSION_MAX && byte != '\r')
        return broken(refusal, "A chunk extension is too long.");
    if (state == CHUNKED_QUOTED)
        return on_quoted(byte, refusal);
    if (state == CHUNKED_QUOTED_PAIR && http_byte_is(byte, BYTE_VALUE))
        return CHUNKED_QUOTED;
    if (state == CHUNKED_QUOTED_PAIR)
        return broken(refusal, "A chunk extension is malformed.");
    if (state == CHUNKED_VALUE_START && byte == '"')
        return CHUNKED_QUOTED;
    if (http_byte_is(byte, BYTE_TOKEN) && state != CHUNKED_QUOTED_END)
        return state == CHUNKED_NAME_START || state == CHUNKED_NAME ? CHUNKED_NAME : CHUNKED_VALUE;
    if (state == CHUNKED_NAME && byte == '=')
        return CHUNKED_VALUE_START;
    if (state == CHUNKED_NAME_START || state == CHUNKED_VALUE_START)
        return broken(refusal, "A chunk extension is malformed.");
    return on_extension_end(byte, refusal);
}

static enum chunked_state on_size_end(struct http_chunked *chunked, char byte,
                                      struct http_refusal *refusal)
{
    if (byte != '\n')
        return broken(refusal, "A chunk's size line must end with CR LF.");
    chunked->digits = 0;
    chunked->line_length = 0;
    if (chunked->remaining == 0)
        return CHUNKED_TRAILER_START;
    if (chunked->data >= OVERHEAD_FROM && chunked->overhead / 4 > chunked->data)
        return broken(refusal, "The body is cut into too many small chunks.");
    return CHUNKED_IN_DATA;
}

static enum chunked_state on_trailer(struct http_chunked *chunked, char byte,
                                     struct http_refusal *refusal)
{
    enum chunked_state state = chunked->state;

    if (++chunked->trailer_length > TRAILER_MAX)
        return broken(refusal, "The trailers are too large.");
    if (state == CHUNKED_TRAILER_START && byte == '\r')
        return CHUNKED_LAST_LF;
    if (state == CHUNKED_TRAILER_START && ++chunked->line_length > TRAILER_LINES)
        return broken(refusal, "There are too many trailers.");
    if (state == CHUNKED_TRAILER_VALUE) {
        if (byte == '\r')
            return CHUNKED_TRAILER_LF;
        if (!http_byte_is(byte, BYTE_VALUE))
            return broken(refusal, "A trailer is malformed.");
        return CHUNKED_TRAILER_VALUE;
    }
    if (state == CHUNKED_TRAILER_NAME && byte == ':')
        return CHUNKED_TRAILER_VALUE;
    if (!http_byte_is(byte, BYTE_TOKEN))
        return broken(refusal, "A trailer is malformed.");
    return CHUNKED_TRAILER_NAME;
}

static enum chunked_state expect_byte(char byte, char expected, enum chunked_state next,
                                      struct http_refusal *refusal)
{
    if (byte != expected)
        return broken(refusal, "A chunk does not end where it must.");
    return next;
}

/* One byte that is not data. */
static enum chunked_state step(struct http_chunked *chunked, char byte,
                               struct http_refusal *refusal)
{
    switch ((enum chunked_state)chunked->state) {
    case CHUNKED_SIZE_START:
    case CHUNKED_SIZE:
        return on_size(chunked, byte, refusal);
    case CHUNKED_NAME_START:
    case CHUNKED_NAME:
    case CHUNKED_VALUE_START:
    case CHUNKED_VALUE:
    case CHUNKED_QUOTED:
    case CHUNKED_QUOTED_PAIR:
    case CHUNKED_QUOTED_END:
        return on_extension(chunked, byte, refusal);
    case CHUNKED_SIZE_LF:
        return on_size_end(chunked, byte, refusal);
    case CHUNKED_DATA_CR:
        return expect_byte(byte, '\r', CHUNKED_DATA_LF, refusal);
    case CHUNKED_DATA_LF:
        return expect_byte(byte, '\n', CHUNKED_SIZE_START, refusal);
    case CHUNKED_TRAILER_START:
    case CHUNKED_TRAILER_NAME:
    case CHUNKED_TRAILER_VALUE:
        return on_trailer(chunked, byte, refusal);
    case CHUNKED_TRAILER_LF:
        return expect_byte(byte, '\n', CHUNKED_TRAILER_START, refusal);
    case CHUNKED_LAST_LF:
        return expect_byte(byte, '\n', CHUNKED_OVER, refusal);
    case CHUNKED_IN_DATA:
    case CHUNKED_OVER:
    case CHUNKED_BROKEN:
        break;
    }
    UNREACHABLE();
}

static struct slice take_data(struct http_chunked *chunked, struct slice rest, size_t data_max)
{
    size_t length = rest.length < data_max ? rest.length : data_max;

    if (length > chunked->remaining)
        length = (size_t)chunked->remaining;
    chunked->remaining -= length;
    chunked->data += length;
    if (chunked->remaining == 0)
        chunked_set_state(chunked, CHUNKED_DATA_CR);
    return slice_from(rest.data, length);
}

enum http_chunked_verdict http_chunked_feed(struct http_chunked *chunked, struct slice bytes,
                                            size_t data_max, size_t *out_used,
                                            struct slice *out_data, struct http_refusal *refusal)
{
    CHECK(data_max > 0);
    size_t at = 0;
    while (at < bytes.length) {
        if (chunked->state == CHUNKED_IN_DATA) {
            *out_data = take_data(chunked, slice_skip(bytes, at), data_max);
            *out_used = at + out_data->length;
            return CHUNKED_DATA;
        }
        chunked->overhead++;
        chunked_set_state(chunked, step(chunked, bytes.data[at++], refusal));
        if (chunked->state == CHUNKED_BROKEN) {
            *out_used = at;
            return CHUNKED_REFUSED;
        }
        if (chunked->state == CHUNKED_OVER) {
            *out_used = at;
            return CHUNKED_END;
        }
    }
    *out_used = at;
    return CHUNKED_MORE;
}
