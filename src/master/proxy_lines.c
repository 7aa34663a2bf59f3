/* SPDX-License-Identifier: Apache-2.0 */
/* A proxy may come from a variable that nobody thinks of, so the log names it, without its
 * password, at the start and with each new configuration. */
#include "base/buf.h"
#include "base/log.h"
#include "base/proxy_url.h"
#include "config/config.h"
#include "master_state.h"
#include "net/transfer.h"

static void log_url(const struct config *config, const struct config_upstream *upstream,
                    const char *url)
{
    struct url_parts parts;
    struct proxy_url proxy;
    struct log_line line;

    if (!url_split(slice_of(url), &parts))
        return;
    const char *found = config_proxy(config, upstream, parts.is_https, parts.host, parts.port);
    if (!found || !proxy_url_parse(slice_of(found), &proxy))
        return;
    AUTO_BUF struct buf shown;
    buf_init(&shown, 1024);
    proxy_url_print(&proxy, false, &shown);
    log_begin(&line, LOG_INFO);
    log_text(&line, "origin", upstream->name);
    log_text(&line, "url", url);
    log_slice(&line, "proxy", buf_bytes(&shown));
    log_end(&line, "this upstream is asked through a proxy");
}

void proxy_lines_log(const struct config *config)
{
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];

        for (size_t k = 0; k < upstream->urls.count; k++)
            log_url(config, upstream, upstream->urls.items[k]);
    }
}
