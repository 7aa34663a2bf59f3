/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxies before us say of the client: Forwarded (RFC 7239), and the older fields
 * X-Forwarded-Proto and X-Forwarded-Host. Any client can send them too; whom to believe is for the
 * caller to decide. Slices point into the head.
 */
#ifndef NET_FORWARDED_H
#define NET_FORWARDED_H

#include <stdbool.h>

#include "base/slice.h"

struct http_head;

#define FORWARDED_HOST_MAX 255 /* bytes of a host with its port */

/* How the client wrote the beginning of our address. */
struct forwarded_origin {
    struct slice host; /* a name or an address, perhaps with a port: nothing else */
    bool is_https;
};

/* Has any proxy left a trace in the head? */
bool forwarded_has_trace(const struct http_head *head);
/* The scheme, and the host that goes with it or else that of Host; from the proxy that is nearest
 * to the client. False: they do not say, contradict each other, or are malformed. */
bool forwarded_find_origin(const struct http_head *head, struct forwarded_origin *out);

#endif
