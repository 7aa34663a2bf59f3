/* SPDX-License-Identifier: Apache-2.0 */
/* See upstream.h. */
#include "upstream.h"

#include <stdio.h>

#include "address.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "bearer.h"
#include "config/config.h"
#include "role.h"

#define RETRY_AFTER_MAX_S 300
#define BUSY_DEFAULT_S    5

static bool add_url(struct upstream *upstream, const char *text)
{
    struct upstream_url *url = &upstream->urls[upstream->url_count];
    struct slice trimmed = slice_of(text);

    while (trimmed.length > 0 && trimmed.data[trimmed.length - 1] == '/')
        trimmed.length--;
    char *copy = slice_dup(trimmed);
    if (!url_split(slice_of(copy), &url->parts)) {
        mem_free(copy);
        return false;
    }
    url->text = copy;
    upstream->url_count++;

    enum address_class literal = ADDRESS_PUBLIC;
    if (address_of_literal(url->parts.host, &literal))
        upstream->own_classes |= (unsigned)literal;
    return true;
}

static void upstream_free(struct upstream *upstream)
{
    bearer_free_all(upstream);
    transfer_set_free(&upstream->transfers);
    for (size_t i = 0; i < upstream->url_count; i++)
        mem_free(upstream->urls[i].text);
    mem_free(upstream->urls);
    mem_free(upstream);
}

struct upstream *upstream_find(struct fetcher *fetcher, struct slice name)
{
    const struct config_upstream *config = config_upstream_find(fetcher->options.config, name);
    if (!config || config->urls.count == 0)
        return NULL;
    struct upstream *upstream = map_find(fetcher->upstreams, slice_of(config->name));
    if (upstream)
        return upstream;

    upstream = NEW(struct upstream);
    upstream->fetcher = fetcher;
    upstream->config = config;
    upstream->pulls_left = UINT64_MAX;
    upstream->urls = mem_zalloc(config->urls.count, sizeof(*upstream->urls));
    upstream->transfers = transfer_set_new(fetcher->options.loop);
    upstream->tokens = map_new();
    list_init(&upstream->token_fetches);
    list_init(&upstream->queue);
    for (size_t i = 0; i < config->urls.count; i++)
        add_url(upstream, config->urls.items[i]);
    if (upstream->url_count == 0) {
        upstream_free(upstream);
        return NULL;
    }
    map_set(fetcher->upstreams, slice_of(config->name), upstream);
    return upstream;
}

static void free_one(struct slice key, void *value, void *arg)
{
    (void)key;
    (void)arg;
    upstream_free(value);
}

void upstream_free_all(struct fetcher *fetcher)
{
    map_each(fetcher->upstreams, free_one, NULL);
    map_free(&fetcher->upstreams);
}

bool upstream_has_credentials(const struct upstream *upstream)
{
    const struct config_upstream *config = upstream->config;
    return config->username && config->password && config->expose;
}

bool upstream_pick(struct upstream *upstream, size_t first, size_t count, bool obeys_busy,
                   size_t *out_url)
{
    struct monotime now = clock_mono();

    for (size_t i = 0; i < count; i++) {
        size_t index = (first + i) % upstream->url_count;
        struct upstream_url *url = &upstream->urls[index];
        if (obeys_busy && now.ms < url->busy_until.ms)
            continue;
        if (breaker_allows(&url->breaker)) {
            *out_url = index;
            return true;
        }
    }
    return false;
}

uint64_t upstream_busy_ms(const struct upstream *upstream)
{
    struct monotime now = clock_mono();
    uint64_t least_ms = 0;

    for (size_t i = 0; i < upstream->url_count; i++) {
        uint64_t wait_ms = monotime_since(upstream->urls[i].busy_until, now);
        if (wait_ms > 0 && (least_ms == 0 || wait_ms < least_ms))
            least_ms = wait_ms;
    }
    return least_ms;
}

static bool is_number(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.length > 0;
}

uint64_t upstream_read_retry_after(struct slice headers)
{
    struct slice value;
    struct walltime date;
    struct error err;
    uint64_t seconds = 0;

    if (!transfer_header(headers, "Retry-After", &value))
        return 0;
    if (walltime_parse_http(value, &date)) {
        uint64_t now_ms = clock_wall().ms;
        seconds = date.ms > now_ms ? (date.ms - now_ms + 999) / 1000 : 0;
    } else if (!is_number(value)) {
        return 0;
    } else if (text_parse_u64(value, &seconds, &err) != 0) {
        return RETRY_AFTER_MAX_S; /* more than there are numbers */
    }
    return seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : seconds;
}

uint64_t upstream_read_busy(struct slice headers)
{
    uint64_t seconds = upstream_read_retry_after(headers);
    return seconds > 0 ? seconds : BUSY_DEFAULT_S;
}

static bool is_same_host(const struct url_parts *a, const struct url_parts *b)
{
    char host[260];
    (void)snprintf(host, sizeof(host), "%.*s", SLICE_PRINT(b->host));
    return slice_is_nocase(a->host, host);
}

static bool is_same_origin(const struct url_parts *a, const struct url_parts *b)
{
    return a->is_https == b->is_https && a->port == b->port && is_same_host(a, b);
}

static bool is_listed(const struct config_list *list, const struct url_parts *url)
{
    for (size_t i = 0; i < list->count; i++) {
        if (slice_is_nocase(url->authority, list->items[i]) ||
            slice_is_nocase(url->host, list->items[i]))
            return true;
    }
    return false;
}

enum host_trust upstream_trusts(const struct upstream *upstream, const struct url_parts *url)
{
    for (size_t i = 0; i < upstream->url_count; i++) {
        if (is_same_origin(&upstream->urls[i].parts, url))
            return HOST_OWN;
    }
    if (is_listed(&upstream->config->redirects, url))
        return HOST_LISTED;
    if (slice_is(slice_of(upstream->config->name), "docker.io") && url->is_https &&
        url->port == 443 && slice_is_nocase(url->host, "auth.docker.io"))
        return HOST_LISTED;
    return HOST_OTHER;
}

bool upstream_is_realm(const struct upstream *upstream, const struct url_parts *url)
{
    if (upstream_trusts(upstream, url) != HOST_OTHER)
        return true;
    for (size_t i = 0; i < upstream->url_count; i++) {
        const struct url_parts *own = &upstream->urls[i].parts;
        if (is_same_host(own, url) && (url->is_https || !own->is_https))
            return true;
    }
    return false;
}

int upstream_check_url(const struct upstream *upstream, const struct url_parts *url,
                       struct error *err)
{
    bool may_be_plain = false;
    for (size_t i = 0; i < upstream->url_count; i++)
        may_be_plain = may_be_plain || !upstream->urls[i].parts.is_https;
    if (!url->is_https && !may_be_plain)
        return error_set(err, ERR_DENIED, "%.*s is not https", SLICE_PRINT(url->authority));
    if (upstream_trusts(upstream, url) != HOST_OTHER)
        return 0;
    enum address_class literal = ADDRESS_PUBLIC;
    if (address_of_literal(url->host, &literal) &&
        !address_is_allowed(literal, upstream->own_classes)) {
        return error_set(err, ERR_DENIED, "the address %.*s is not allowed",
                         SLICE_PRINT(url->authority));
    }
    return 0;
}
