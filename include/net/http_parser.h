/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict HTTP/1.1 requests (RFC 9112), pure: bytes in, a head or a refusal out. What is ambiguous
 * is refused; nothing is guessed or repaired. The limits are the caller's.
 */
#ifndef NET_HTTP_PARSER_H
#define NET_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define HTTP_HEADERS_MAX 100
#define HTTP_NO_LENGTH   UINT64_MAX

/* One field line. */
struct http_header {
    struct slice name;
    struct slice value; /* trimmed */
};

/* How the end of a request's body is known. */
enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
};

/* Slices point into the bytes that were parsed. */
struct http_head {
    struct slice method;
    struct slice target; /* origin form: absolute form with our Host was cut to it */
    struct slice host;
    unsigned minor; /* HTTP/1.minor: 0 or 1 */
    enum http_body_kind body;
    uint64_t content_length; /* with HTTP_BODY_LENGTH */
    bool keep_alive;
    bool expects_continue;
    unsigned header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
};

/* What a client may send before it is refused. */
struct http_limits {
    size_t line_max;     /* request line, bytes */
    size_t head_max;     /* whole head */
    size_t value_max;    /* one field value */
    unsigned fields_max; /* up to HTTP_HEADERS_MAX */
};

/* Why a head was not taken. */
struct http_refusal {
    int status;         /* 400, 408, 413, 414, 417, 431, 501, 505 */
    const char *reason; /* a constant sentence */
};

/* What the bytes so far are. */
enum http_verdict {
    HTTP_MORE,    /* the head is not whole yet */
    HTTP_HEAD,    /* *out is set, *out_length bytes belong to the head */
    HTTP_REFUSED, /* *refusal is set; the connection must be closed after the answer */
};

/* Parse from the start of a request. A single leading CRLF is tolerated. Bytes that can never
 * become a head are refused at once, without waiting for the rest: a TLS hello (0x16 0x03),
 * HTTP/2's preface, a line over its limit. */
enum http_verdict http_parse_head(struct slice bytes, const struct http_limits *limits,
                                  struct http_head *out, size_t *out_length,
                                  struct http_refusal *refusal);
/* First field of that name, case ignored; NULL if there is none. Several lines of one name are
 * several fields. */
const struct slice *http_head_find(const struct http_head *head, const char *name);
/* How many fields have that name. */
unsigned http_head_count(const struct http_head *head, const char *name);

/* Chunked bodies: a decoder that is fed bytes as they come. */
struct http_chunked {
    unsigned state;
    uint64_t remaining; /* of the current chunk */
    uint64_t overhead;  /* bytes that were not data, for the limit on it */
    uint64_t data;
    unsigned line_length;
    unsigned trailer_length;
    unsigned digits;
};

/* What became of the bytes of a chunked body. */
enum http_chunked_verdict {
    CHUNKED_MORE, /* all input used */
    CHUNKED_DATA, /* *out_data is the next piece of data inside `bytes` */
    CHUNKED_END,  /* last chunk and trailers are over; trailers are discarded */
    CHUNKED_REFUSED,
};

/* At the start of a chunked body. */
void http_chunked_init(struct http_chunked *chunked);
/* Uses bytes from the front; *out_used says how many, *out_data (within them) what is data, at most
 * data_max bytes of it. */
enum http_chunked_verdict http_chunked_feed(struct http_chunked *chunked, struct slice bytes,
                                            size_t data_max, size_t *out_used,
                                            struct slice *out_data, struct http_refusal *refusal);

#endif
