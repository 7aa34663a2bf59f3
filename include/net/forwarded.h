/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxies before us say of the client: Forwarded (RFC 7239), and the older fields
 * X-Forwarded-For, -Proto and -Host. Any client can send them too; whom to believe is for the
 * caller to decide. Slices point into the head.
 */
#ifndef NET_FORWARDED_H
#define NET_FORWARDED_H

#include <stdbool.h>

#include "base/slice.h"

struct http_head;

#define FORWARDED_HOST_MAX 255 /* bytes of a host with its port */
#define FORWARDED_HOPS_MAX 16  /* of a longer list, the last ones */

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

/* From whom each proxy had the request, the nearest to the client first. */
struct forwarded_hops {
    struct slice items[FORWARDED_HOPS_MAX]; /* as they were written, without quotes */
    unsigned count;
};

/* What X-Forwarded-For says, in all its lines. */
void forwarded_read_older_hops(const struct http_head *head, struct forwarded_hops *out);
/* What Forwarded says; nothing when any of it is malformed. */
void forwarded_read_hops(const struct http_head *head, struct forwarded_hops *out);

#endif
