/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The URL of a proxy, as curl and its variables write it: [SCHEME://][USER[:PASSWORD]@]HOST[:PORT].
 * Without a scheme it is http. Pure functions.
 */
#ifndef BASE_PROXY_URL_H
#define BASE_PROXY_URL_H

#include <stdbool.h>

#include "base/slice.h"

struct buf;

/* How the proxy is spoken to. */
enum proxy_scheme {
    PROXY_HTTP,
    PROXY_HTTPS,   /* TLS to the proxy, too */
    PROXY_SOCKS5,  /* we look up the name of the server */
    PROXY_SOCKS5H, /* the proxy does */
};

/* Slices point into the text that was parsed. */
struct proxy_url {
    enum proxy_scheme scheme;
    bool has_login;
    struct slice user;     /* as written, so perhaps percent-encoded */
    struct slice password; /* the same */
    struct slice host;     /* without brackets */
    unsigned port;         /* curl's default where there is none: 1080, or 443 for https */
};

/* False: it is none. A slash at the end is allowed, and nothing else after the port. */
bool proxy_url_parse(struct slice text, struct proxy_url *out);
/* Appends it with scheme and port. Without the password, it can be logged. */
void proxy_url_print(const struct proxy_url *url, bool with_password, struct buf *out);

#endif
