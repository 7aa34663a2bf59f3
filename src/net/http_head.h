/* SPDX-License-Identifier: Apache-2.0 */
/* What the fields of a head say together: where the body ends, which host is meant, whether the
 * connection stays open. http_parser.c finds the fields, http_head.c judges them. */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include <stdbool.h>

#include "net/http_parser.h"

/* The fields that matter for framing, noted while they are read. */
struct http_framing {
    struct slice host;
    struct slice content_length;
    struct slice transfer_encoding;
    unsigned hosts;
    unsigned content_lengths;
    unsigned transfer_encodings;
    bool has_close;
    bool has_keep_alive;
    bool has_continue;
    bool has_other_expectation;
};

void http_framing_note(struct http_framing *framing, const struct http_header *header);
/* Returns HTTP_HEAD, with the remaining members of *head set, or HTTP_REFUSED. */
enum http_verdict http_framing_decide(const struct http_framing *framing, struct http_head *head,
                                      struct http_refusal *refusal);
/* A name or an address, perhaps with a port. */
bool http_is_host(struct slice text);
/* Begins with "http://". */
bool http_target_is_absolute(struct slice target);

/* Fills *refusal; returns HTTP_REFUSED. */
enum http_verdict http_refuse(struct http_refusal *refusal, int status, const char *reason);

#endif
