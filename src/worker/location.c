/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relative Location is right behind every proxy, but some clients follow only whole URLs. By
 * itself, Location is whole when proxies say what the client asked for, and when no proxy is there
 * and Host is the very address that the client has connected to. A name in Host proves nothing: it
 * may be the one by which a proxy knows us.
 */
#include "location.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/config.h"
#include "headers.h"
#include "net/forwarded.h"
#include "net/http_conn.h"
#include "request.h"
#include "worker_state.h"

#define PATH_SIZE 768 /* a name, a digest or session, and the words between */

/* Is Host the local end of this connection? "10.0.0.7" is "10.0.0.7:80". */
static bool is_local(const struct request *request, struct slice host)
{
    char local[ADDRESS_TEXT_SIZE];

    if (host.length == 0 || ((host.data[0] < '0' || host.data[0] > '9') && host.data[0] != '['))
        return false;
    http_conn_print_local(request->conn, local);
    if (slice_is_nocase(host, local))
        return true;
    struct slice address = slice_of(local);
    return slice_ends_with(address, ":80") &&
           slice_equal(host, slice_from(local, address.length - 3));
}

/* On a connection that a proxy has handed on, the proxy was asked for when it was accepted. */
static bool may_believe(const struct request *request)
{
    const struct trust *trust = &request->worker->trust;

    return !trust_is_set(trust) || http_conn_is_relayed(request->conn) ||
           trust_has(trust, http_conn_peer(request->conn));
}

static bool find_origin(const struct request *request, struct forwarded_origin *out,
                        bool *is_forwarded)
{
    const struct http_head *head = request->head;
    enum location_form form = request->config->location;

    *is_forwarded =
        form != LOCATION_RELATIVE && may_believe(request) && forwarded_find_origin(head, out);
    if (*is_forwarded || form == LOCATION_RELATIVE)
        return *is_forwarded;
    *out = (struct forwarded_origin){.host = head->host};
    if (head->host.length == 0 || head->host.length > FORWARDED_HOST_MAX)
        return false;
    if (form == LOCATION_ABSOLUTE)
        return true;
    return head->minor == 1 && !http_conn_is_relayed(request->conn) && !forwarded_has_trace(head) &&
           is_local(request, head->host);
}

void location_addf(const struct request *request, struct headers *headers, const char *fmt, ...)
{
    char path[PATH_SIZE];
    struct forwarded_origin origin;
    bool is_forwarded;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(path, sizeof(path), fmt, args);
    va_end(args);
    if (!find_origin(request, &origin, &is_forwarded)) {
        headers_add(headers, "Location", slice_of(path));
        return;
    }
    headers_addf(headers, "Location", "%s://%.*s%s", origin.is_https ? "https" : "http",
                 SLICE_PRINT(origin.host), path);
    /* What one client sent must not come to another out of a cache. */
    if (is_forwarded)
        headers_add(headers, "Cache-Control", SLICE_LITERAL("no-store"));
}
