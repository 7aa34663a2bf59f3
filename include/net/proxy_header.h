/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of the PROXY protocol, versions 1 and 2, by which a proxy says whose connection it
 * hands on. It stands once at the beginning of the connection, before the first byte of the client.
 * This parser is pure and takes the bytes as they come.
 */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "net/listener.h"

#define PROXY_LINE_MAX   107  /* bytes of a header of version 1, CRLF included */
#define PROXY_HEADER_MAX 4096 /* bytes of one of version 2 */

/* What the bytes that have come so far are. */
enum proxy_verdict {
    PROXY_MORE, /* the header goes on */
    PROXY_DONE, /* it is over; further bytes are not its */
    PROXY_BAD,
};

/* Zeroed at the beginning. */
struct proxy_header {
    size_t have;   /* bytes of the header that were fed */
    size_t length; /* of the whole header, once version 2 has said it */
    char bytes[PROXY_LINE_MAX];
    /* PROXY_DONE: the client as listener.h prints it; "": the header does not say (a check by the
     * proxy itself, or a kind of address that we do not know) */
    char client[ADDRESS_TEXT_SIZE];
};

/* *out_used of the bytes belong to the header. PROXY_BAD: *out_why is a sentence. */
enum proxy_verdict proxy_header_feed(struct proxy_header *header, struct slice bytes,
                                     size_t *out_used, const char **out_why);
/* Do these bytes of a request look like such a header? */
bool proxy_header_is_begun(struct slice bytes);

#endif
