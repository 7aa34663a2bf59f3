/* SPDX-License-Identifier: Apache-2.0 */
/* What the fields of a head say together: where its body ends, whose it is, whether the connection
 * stays. Between http_parser.c, which finds the fields, and http_head.c, which judges them. */
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
/* HTTP_HEAD or HTTP_REFUSED; sets what is left of *head. */
enum http_verdict http_framing_decide(const struct http_framing *framing, struct http_head *head,
                                      struct http_refusal *refusal);
/* Begins with "http://". */
bool http_target_is_absolute(struct slice target);

/* Fills *refusal; returns HTTP_REFUSED. */
enum http_verdict http_refuse(struct http_refusal *refusal, int status, const char *reason);

#endif
