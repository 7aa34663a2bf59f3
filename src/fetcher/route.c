/* SPDX-License-Identifier: Apache-2.0 */
/* See route.h. */
#include "route.h"

#include "config/config.h"
#include "role.h"
#include "upstream.h"

bool route_set(const struct upstream *upstream, const struct url_parts *url, bool may_identify,
               struct transfer_request *request)
{
    const struct config_upstream *config = upstream->config;
    bool shows = may_identify && url->is_https && config->expose && config->cert && config->key;

    request->proxy =
        config_proxy(upstream->fetcher->config, config, url->is_https, url->host, url->port);
    request->tls.ca = slice_of(config->ca);
    request->tls.is_unverified = !config->verifies_tls && upstream_is_realm(upstream, url);
    if (shows) {
        request->tls.cert = slice_of(config->cert);
        request->tls.key = slice_of(config->key);
    }
    return shows;
}
