/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to a connection: net/resolve looks up the name of the host or of the proxy (for
 * socks5:// of both), and libcurl gets the addresses. libcurl must not look up names itself: when a
 * transfer ends it waits, on the loop, for the thread that does it. Each address is checked just
 * before it is connected to. (door: libcurl)
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/proxy_url.h"
#include "base/slice.h"
#include "net/resolve.h"
#include "transfer_parts.h"

#define ADDRESSES_LENGTH 2048

/* ---- the name ---- */

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

static int plan_name(struct transfer *transfer, struct slice host, unsigned port, bool is_proxy,
                     struct error *err)
{
    if (!resolve_is_needed(host))
        return 0;
    if (!transfer->set->resolver) {
        return error_set(err, ERR_INVALID,
                         "the host is a name, and there is no resolver to look it up");
    }
    transfer->names[transfer->name_count++] =
        (struct transfer_name){slice_dup(host), port, is_proxy};
    return 0;
}

int transfer_plan_connection(struct transfer *transfer, const struct transfer_request *request,
                             struct error *err)
{
    struct url_parts server;
    struct proxy_url proxy;

    if (!url_split(slice_of(request->url), &server))
        return error_set(err, ERR_INVALID, "not an http or https URL");
    if (request->unix_socket)
        return plan_local(transfer, request, err);
    if (!request->proxy)
        return plan_name(transfer, server.host, server.port, false, err);
    if (!proxy_url_parse(slice_of(request->proxy), &proxy))
        return error_set(err, ERR_INVALID, "the proxy is not the URL of one");
    transfer->has_proxy = true;
    transfer->has_login = proxy.has_login;
    int rc = plan_name(transfer, proxy.host, proxy.port, true, err);
    if (rc == 0 && proxy.scheme == PROXY_SOCKS5)
        rc = plan_name(transfer, server.host, server.port, false, err);
    return rc;
}

/* The proxy connects to the addresses that we give it, without asking us again. */
static bool is_refused(struct transfer *transfer, const struct transfer_name *name,
                       const union resolved_address *address)
{
    union resolved_address whole = *address;

    if (!transfer->has_proxy || name->is_proxy || !transfer->may_connect)
        return false;
    if (whole.any.sa_family == AF_INET6)
        whole.v6.sin6_port = htons((uint16_t)name->port);
    else
        whole.v4.sin_port = htons((uint16_t)name->port);
    return !transfer->may_connect(&whole.any, false, transfer->arg);
}

/* "+HOST:PORT:ADDRESS,ADDRESS…" for CURLOPT_RESOLVE. The plus sign makes libcurl forget the
 * addresses after a minute instead of never; this transfer uses them at once. */
static int print_addresses(struct transfer *transfer, const struct resolved_name *found,
                           struct buf *out, struct error *err)
{
    const struct transfer_name *name = &transfer->names[transfer->names_known];
    size_t count = 0;

    buf_printf(out, "+%s:%u:", name->host, name->port);
    for (size_t i = 0; i < found->count; i++) {
        const union resolved_address *address = &found->addresses[i];
        bool is_v6 = address->any.sa_family == AF_INET6;
        const void *bytes =
            is_v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr;
        char text[INET6_ADDRSTRLEN];

        if (is_refused(transfer, name, address))
            continue;
        if (!inet_ntop(address->any.sa_family, bytes, text, sizeof(text)))
            break;
        buf_printf(out, is_v6 ? "%s[%s]" : "%s%s", count++ > 0 ? "," : "", text);
    }
    if (out->is_over)
        return error_set(err, ERR_INTERNAL, "the addresses of %s cannot be printed", name->host);
    return count > 0 ? 0 : error_set(err, ERR_DENIED, "the address is not allowed");
}

static int list_addresses(struct transfer *transfer, const struct resolved_name *found,
                          struct error *err)
{
    AUTO_BUF struct buf text;

    buf_init(&text, ADDRESSES_LENGTH);
    int rc = print_addresses(transfer, found, &text, err);
    return rc == 0 ? transfer_append(transfer, &transfer->addresses, buf_text(&text), err) : rc;
}

static void on_name(const struct resolved_name *found, const struct error *err, void *arg)
{
    struct transfer *transfer = arg;

    transfer->lookup = NULL;
    if (err) {
        transfer->err = *err;
        transfer->err.kind = ERR_UPSTREAM;
        if (transfer->names[transfer->names_known].is_proxy)
            error_wrap(&transfer->err, "the proxy");
        transfer_finish(transfer);
    } else if (list_addresses(transfer, found, &transfer->err) != 0) {
        transfer_finish(transfer);
    } else {
        transfer->names_known++;
        transfer_connect(transfer);
    }
}

void transfer_connect(struct transfer *transfer)
{
    if (transfer->names_known == transfer->name_count) {
        transfer_begin(transfer);
        return;
    }
    transfer->lookup =
        resolver_ask(transfer->set->resolver, slice_of(transfer->names[transfer->names_known].host),
                     on_name, transfer);
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
        !transfer->may_connect(&address->addr, transfer->has_proxy, transfer->arg)) {
        transfer->was_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);
}
