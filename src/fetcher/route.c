/* SPDX-License-Identifier: Apache-2.0 */
/* See route.h. */
#include "route.h"

#include "config/config.h"
#include "role.h"
#include "upstream.h"

void route_set(const struct upstream *upstream, const struct url_parts *url,
               struct transfer_request *request)
{
    const struct config_upstream *config = upstream->config;

    request->ca_file = config->ca_file;
    request->proxy =
        config_proxy(upstream->fetcher->config, config, url->is_https, url->host, url->port);
}
