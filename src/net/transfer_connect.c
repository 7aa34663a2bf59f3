/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to a connection: net/resolve looks up the name of the host or of the proxy, and
 * libcurl gets the addresses. libcurl must not look up names itself: when a transfer ends it waits,
 * on the loop, for the thread that does it. Each address is checked just before it is connected to.
 * (door: libcurl)
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/slice.h"
#include "net/resolve.h"
#include "transfer_parts.h"

#define PROXY_PORT       1080 /* libcurl's default for http proxies; for https ones it is 443 */
#define ADDRESSES_LENGTH 2048

/* ---- the name ---- */

static unsigned proxy_port(const struct url_parts *proxy)
{
    size_t brackets = proxy->authority.data[0] == '[' ? 2 : 0;

    if (proxy->authority.length > proxy->host.length + brackets)
        return proxy->port;
    return proxy->is_https ? proxy->port : PROXY_PORT;
}

static int plan_local(struct transfer *transfer, const struct transfer_request *request,
                      struct error *err)
{
    struct sockaddr_un address;

    if (request->proxy)
        return error_set(err, ERR_INVALID, "a unix socket cannot be reached through a proxy");
    if (request->unix_socket[0] == '\0' ||
        strlen(request->unix_socket) >= sizeof(address.sun_path)) {
        return error_set(err, ERR_INVALID, "the path of a unix socket has 1 to %zu bytes",
                         sizeof(address.sun_path) - 1);
    }
    transfer->is_local = true;
    return 0;
}

int transfer_plan_connection(struct transfer *transfer, const struct transfer_request *request,
                             struct error *err)
{
    struct url_parts peer;

    if (!url_split(slice_of(request->url), &peer))
        return error_set(err, ERR_INVALID, "not an http or https URL");
    if (request->unix_socket)
        return plan_local(transfer, request, err);
    if (request->proxy && !url_split(slice_of(request->proxy), &peer))
        return error_set(err, ERR_INVALID, "the proxy is not an http or https URL");
    transfer->port = request->proxy ? proxy_port(&peer) : peer.port;
    if (!resolve_is_needed(peer.host))
        return 0;
    if (!transfer->set->resolver) {
        return error_set(err, ERR_INVALID,
                         "the host is a name, and there is no resolver to look it up");
    }
    transfer->host = slice_dup(peer.host);
    return 0;
}

/* "+HOST:PORT:ADDRESS,ADDRESS…" for CURLOPT_RESOLVE. The plus sign makes libcurl forget the
 * addresses after a minute instead of never; this transfer uses them at once. */
static bool print_addresses(const struct transfer *transfer, const struct resolved_name *name,
                            struct buf *out)
{
    buf_printf(out, "+%s:%u:", transfer->host, transfer->port);
    for (size_t i = 0; i < name->count; i++) {
        const union resolved_address *address = &name->addresses[i];
        bool is_v6 = address->any.sa_family == AF_INET6;
        const void *bytes =
            is_v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr;
        char text[INET6_ADDRSTRLEN];

        if (!inet_ntop(address->any.sa_family, bytes, text, sizeof(text)))
            return false;
        buf_printf(out, is_v6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "", text);
    }
    return !out->is_over;
}

static int list_addresses(struct transfer *transfer, const struct resolved_name *name,
                          struct error *err)
{
    AUTO_BUF struct buf text;

    buf_init(&text, ADDRESSES_LENGTH);
    if (!print_addresses(transfer, name, &text)) {
        return error_set(err, ERR_INTERNAL, "the addresses of %s cannot be printed",
                         transfer->host);
    }
    return transfer_append(transfer, &transfer->addresses, buf_text(&text), err);
}

static void on_name(const struct resolved_name *name, const struct error *err, void *arg)
{
    struct transfer *transfer = arg;

    transfer->lookup = NULL;
    if (err) {
        transfer->err = *err;
        transfer->err.kind = ERR_UPSTREAM;
        transfer_finish(transfer);
    } else if (list_addresses(transfer, name, &transfer->err) != 0) {
        transfer_finish(transfer);
    } else {
        transfer_begin(transfer);
    }
}

void transfer_connect(struct transfer *transfer)
{
    if (!transfer->host) {
        transfer_begin(transfer);
        return;
    }
    transfer->lookup =
        resolver_ask(transfer->set->resolver, slice_of(transfer->host), on_name, transfer);
}

/* ---- the address ---- */

/* What the lookup left of the connect timeout. 0 means libcurl's default, 300 s. */
static long connect_ms(const struct transfer *transfer)
{
    uint64_t used_ms = monotime_since(clock_mono(), transfer->started_at);

    if (transfer->connect_timeout_ms == 0)
        return 0;

    return used_ms < transfer->connect_timeout_ms ? (long)(transfer->connect_timeout_ms - used_ms)
                                                  : 1;
}

int transfer_set_connection(struct transfer *transfer, struct error *err)
{
    struct transfer_options options = {
        .curl = transfer->set->curl, .easy = transfer->easy, .err = err};

    TRANSFER_SET(&options, CURLOPT_CONNECTTIMEOUT_MS, connect_ms(transfer));
    if (transfer->addresses)
        TRANSFER_SET(&options, CURLOPT_RESOLVE, transfer->addresses);
    return options.rc;
}

curl_socket_t transfer_on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = arg;

    (void)purpose;
    if (transfer->state >= TRANSFER_FINISHED)
        return CURL_SOCKET_BAD;
    if (transfer->may_connect && !transfer->is_local &&
        !transfer->may_connect(&address->addr, transfer->arg)) {
        transfer->was_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);
}
