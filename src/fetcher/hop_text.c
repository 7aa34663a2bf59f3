/* SPDX-License-Identifier: Apache-2.0 */
/* See hop_text.h. */
#include "hop_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "upstream.h"

#define URL_MAX 120 /* bytes of it in a text */

static struct slice url_of(const struct hop_place *place)
{
    struct slice url = slice_of(place->url);
    ptrdiff_t query = slice_find(url, '?');

    if (query >= 0)
        url.length = (size_t)query;
    if (url.length > URL_MAX)
        url.length = URL_MAX;
    return url;
}

void hop_place_note(struct hop_place *place, const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    char text[INET6_ADDRSTRLEN];

    if (address->sa_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)))
        (void)snprintf(place->address, sizeof(place->address), "%s:%u", text, ntohs(v4->sin_port));
    if (address->sa_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text))) {
        (void)snprintf(place->address, sizeof(place->address), "[%s]:%u", text,
                       ntohs(v6->sin6_port));
    }
}

/* The setting that is about such a failure; NULL: none in particular. */
static const char *setting_of(const struct hop_place *place, const struct error *err)
{
    if (strstr(err->text, "certificate"))
        return "ca_file";
    if (strstr(err->text, "proxy"))
        return "proxy";
    if (strstr(err->text, "is not https"))
        return "http_hosts";
    if (strstr(err->text, "is not allowed"))
        return "redirects";
    return place->is_proxy ? "proxy" : "url";
}

/* Which proxy it is: the upstream's own, or that for all. */
static const char *group_of(const struct hop_place *place, const char *setting, char out[80])
{
    const struct upstream *upstream = place->upstream;

    if (strcmp(setting, "proxy") != 0 || upstream->config->proxy) {
        (void)snprintf(out, 80, "upstreams.%.60s.", upstream->name);
        return out;
    }
    return slice_starts_with(slice_of(place->url), "https") ? "fetch.https_" : "fetch.http_";
}

/* Scheme and host: the path names a repository that others need not know. */
static struct slice host_of(const struct hop_place *place)
{
    struct slice url = url_of(place);
    const char *scheme = strstr(place->url, "://");
    size_t start = scheme ? (size_t)(scheme - place->url) + 3 : 0;

    if (start < url.length) {
        ptrdiff_t path = slice_find(slice_skip(url, start), '/');

        if (path >= 0)
            url.length = start + (size_t)path;
    }
    return url;
}

void hop_text_failure(struct hop_place *place, struct error *err)
{
    const char *name = place->upstream->name;
    struct error reason = *err;
    struct slice url = url_of(place);
    struct slice host = host_of(place);
    const char *setting = setting_of(place, &reason);
    char group[80];
    const char *at = place->address[0] != '\0' ? " at " : "";

    error_set(err, reason.kind, "%.60s: %.*s%s%s: %.*s (see %s%s)", name, SLICE_PRINT(url), at,
              place->address, 90, reason.text, group_of(place, setting, group), setting);
    (void)snprintf(place->why, sizeof(place->why), "%.*s%s%s: %.90s (see %s%s)", SLICE_PRINT(host),
                   at, place->address, reason.text, group_of(place, setting, group), setting);
}

void hop_text_status(struct hop_place *place, int status, struct error *err)
{
    struct slice url = url_of(place);
    struct slice host = host_of(place);

    error_set(err, err->kind, "%.60s answered %d for %.*s", place->upstream->name, status,
              SLICE_PRINT(url));
    (void)snprintf(place->why, sizeof(place->why), "%.*s answered %d", SLICE_PRINT(host), status);
}

void hop_text_state(const struct hop_place *place, const struct error *err)
{
    struct log_line line;
    struct slice url = url_of(place);

    log_begin(&line, LOG_WARN);
    log_text(&line, "origin", place->upstream->name);
    log_slice(&line, "url", url);
    if (place->address[0] != '\0')
        log_text(&line, "address", place->address);
    if (err)
        log_end(&line, "the upstream is down, and is asked only now and then: %s", err->text);
    else
        log_end(&line, "the upstream is back");
}
