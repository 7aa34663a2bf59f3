/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict parser of HTTP/1.1 requests (RFC 9112). It is pure: bytes go in, a head or a refusal
 * comes out. It refuses what is ambiguous and neither guesses nor repairs. The caller sets the
 * limits.
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
    struct slice target; /* origin form; an absolute form that names our Host is cut to it */
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
    size_t head_max;     /* whole head, without the value of Range */
    size_t value_max;    /* one field value, but for Range's */
    size_t range_max;    /* the value of Range */
    unsigned fields_max; /* up to HTTP_HEADERS_MAX */
};

/* Why a head or a body was refused. */
struct http_refusal {
    int status;         /* 400, 408, 413, 414, 417, 431, 501, 505 */
    const char *reason; /* a constant sentence */
};

/* What the bytes that have come so far are. */
enum http_verdict {
    HTTP_MORE,    /* the head is not complete yet */
    HTTP_HEAD,    /* *out is set, *out_length bytes belong to the head */
    HTTP_REFUSED, /* *refusal is set; the connection must be closed after the answer */
};

/* Parse from the start of a request. One leading CRLF is tolerated. Bytes that can never become a
 * head (a TLS hello, HTTP/2's preface, a line over its limit) are refused at once, before the rest
 * has come. */
enum http_verdict http_parse_head(struct slice bytes, const struct http_limits *limits,
                                  struct http_head *out, size_t *out_length,
                                  struct http_refusal *refusal);
/* The value of the first field with that name, in any case; NULL if there is none. Several lines
 * with one name are several fields. */
const struct slice *http_head_find(const struct http_head *head, const char *name);
/* The number of fields with that name. */
unsigned http_head_count(const struct http_head *head, const char *name);

/* The state of a decoder for a chunked body, which is fed bytes as they come. */
struct http_chunked {
    unsigned state;
    uint64_t remaining; /* of the current chunk */
    uint64_t overhead;  /* bytes that were not data; they have a limit */
    uint64_t data;
    unsigned line_length;
    unsigned trailer_length;
    unsigned digits;
};

/* What the decoder found in the bytes it was given. */
enum http_chunked_verdict {
    CHUNKED_MORE, /* all input was used */
    CHUNKED_DATA, /* *out_data is the next piece of data inside `bytes` */
    CHUNKED_END,  /* the last chunk and the trailers, which are dropped, are over */
    CHUNKED_REFUSED,
};

/* Start at the beginning of a body. */
void http_chunked_init(struct http_chunked *chunked);
/* Decode bytes from the front. *out_used says how many were used, *out_data which of them are data,
 * at most data_max bytes. */
enum http_chunked_verdict http_chunked_feed(struct http_chunked *chunked, struct slice bytes,
                                            size_t data_max, size_t *out_used,
                                            struct slice *out_data, struct http_refusal *refusal);

#endif
