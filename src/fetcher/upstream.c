/* SPDX-License-Identifier: Apache-2.0 */
/* See upstream.h. */
#include "upstream.h"

#include <stdio.h>
#include <string.h>

#include "address.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "oci/digest.h"
#include "oci/name.h"
#include "role.h"

#define RETRY_AFTER_MAX_S 300
#define BUSY_DEFAULT_S    5
#define LOGIN_WARNING_MS  60000

static bool add_url(struct upstream *upstream, const char *text)
{
    struct upstream_url *url = &upstream->urls[upstream->url_count];
    struct slice trimmed = slice_of(text);
    AUTO_BUF struct buf whole;

    buf_init(&whole, 8192);
    while (slice_ends_with(trimmed, "/"))
        trimmed.length--;
    if (!url_split(trimmed, &url->parts))
        return false;
    buf_printf(&whole, "%.*s%s", SLICE_PRINT(trimmed),
               slice_is(url->parts.path, "/") ? "/v2/" : "/");
    url->text = slice_dup(buf_bytes(&whole));
    CHECK(url_split(slice_of(url->text), &url->parts));
    const char *api = strstr(url->parts.path.data, "/v2/");
    url->prefix = slice_of(api ? api + 4 : "");
    upstream->url_count++;

    enum address_class literal = ADDRESS_PUBLIC;
    if (address_of_literal(url->parts.host, &literal))
        upstream->own_classes |= (unsigned)literal;
    return true;
}

static void drop_tokens(struct upstream *upstream)
{
    if (upstream->free_tokens)
        upstream->free_tokens(upstream);
}

static void upstream_free(void *arg)
{
    struct upstream *upstream = arg;

    drop_tokens(upstream);
    list_remove(&upstream->link);
    transfer_set_free(&upstream->transfers);
    for (size_t i = 0; i < upstream->url_count; i++)
        mem_free(upstream->urls[i].text);
    mem_free(upstream->urls);
    config_unref(&upstream->whole);
    mem_free(upstream->name);
    mem_free(upstream);
}

struct upstream *upstream_ref(struct upstream *upstream)
{
    CHECK(upstream->references > 0);
    upstream->references++;
    return upstream;
}

void upstream_unref(struct upstream **upstream)
{
    if (!*upstream)
        return;
    struct upstream *old = TAKE(*upstream);
    CHECK(old->references > 0);
    if (--old->references > 0)
        return;
    /* The last reference often goes at the end of the last transfer, inside its callback, and the
     * set would free that transfer. In fetcher_free nothing runs, and no turn follows. */
    if (old->fetcher->is_closing)
        upstream_free(old);
    else
        loop_defer(old->fetcher->options.loop, upstream_free, old);
}

/* NULL: none of its addresses is a valid URL. */
static struct upstream *upstream_new(struct fetcher *fetcher, const struct config_upstream *config)
{
    struct upstream *upstream = NEW(struct upstream);

    list_init(&upstream->link);
    upstream->references = 1;
    upstream->fetcher = fetcher;
    upstream->name = mem_strdup(config->name);
    upstream->whole = config_ref(fetcher->config);
    upstream->config = config;
    upstream->metric = metrics_name(METRIC_NAME_upstream, config->name);
    upstream->pulls_left = UINT64_MAX;
    upstream->urls = mem_zalloc(config->urls.count, sizeof(*upstream->urls));
    upstream->transfers =
        transfer_set_new(fetcher->options.loop, fetcher->resolver, fetcher->options.pool);
    list_init(&upstream->token_fetches);
    list_init(&upstream->queue);
    for (size_t i = 0; i < config->urls.count; i++)
        add_url(upstream, config->urls.items[i]);
    if (upstream->url_count > 0)
        return upstream;
    upstream_free(upstream);
    return NULL;
}

struct upstream *upstream_find(struct fetcher *fetcher, struct slice name)
{
    const struct config_upstream *config = config_upstream_find(fetcher->config, name);

    if (!config || config->urls.count == 0)
        return NULL;
    struct upstream *upstream = map_find(fetcher->upstreams, slice_of(config->name));
    if (upstream)
        return upstream;
    upstream = upstream_new(fetcher, config);
    if (upstream)
        map_set(fetcher->upstreams, slice_of(config->name), upstream);
    return upstream;
}

struct upstream *upstream_current(const struct upstream *upstream)
{
    return map_find(upstream->fetcher->upstreams, slice_of(upstream->name));
}

size_t upstream_running(const struct upstream *upstream, size_t *out_downloads)
{
    const struct fetcher *fetcher = upstream->fetcher;
    const struct upstream *current = upstream_current(upstream);
    size_t running = current ? current->running : 0;
    size_t downloads = current ? current->downloads : 0;

    LIST_EACH (link, &fetcher->retired_upstreams) {
        const struct upstream *retired = LIST_ITEM(link, const struct upstream, link);

        if (!slice_is(slice_of(retired->name), upstream->name))
            continue;
        running += retired->running;
        downloads += retired->downloads;
    }
    *out_downloads = downloads;
    return running;
}

static bool has_same_urls(const struct upstream *a, const struct upstream *b)
{
    bool is_same = a->url_count == b->url_count;

    for (size_t i = 0; is_same && i < a->url_count; i++)
        is_same = slice_is(slice_of(a->urls[i].text), b->urls[i].text);
    return is_same;
}

struct upstream *upstream_heir(const struct upstream *upstream)
{
    struct upstream *current = upstream_current(upstream);
    bool is_other = current && current != upstream && has_same_urls(current, upstream);

    return is_other && upstream_has_credentials(current) &&
                   !config_upstream_has_same_login(current->config, upstream->config)
               ? current
               : NULL;
}

/* ---- another configuration ---- */

/* What is known of an address is kept when the new configuration has it too. */
static void inherit_urls(struct upstream *heir, const struct upstream *old)
{
    for (size_t i = 0; i < heir->url_count; i++) {
        for (size_t k = 0; k < old->url_count; k++) {
            if (!slice_is(slice_of(heir->urls[i].text), old->urls[k].text))
                continue;
            heir->urls[i].breaker = old->urls[k].breaker;
            heir->urls[i].busy_until = old->urls[k].busy_until;
            memcpy(heir->urls[i].down_why, old->urls[k].down_why, sizeof(old->urls[k].down_why));
        }
    }
    heir->pulls_left = old->pulls_left;
}

static void retire_upstream(struct upstream *upstream)
{
    struct upstream *old = upstream;

    map_remove(old->fetcher->upstreams, slice_of(old->name));
    list_append(&old->fetcher->retired_upstreams, &old->link);
    upstream_unref(&old); /* the table's reference; running requests have their own */
}

static bool reconfigure_upstream(struct fetcher *fetcher, struct upstream *upstream)
{
    const struct config_upstream *config =
        config_upstream_find(fetcher->config, slice_of(upstream->name));

    if (config && config_upstream_is_reached_alike(config, upstream->config)) {
        config_unref(&upstream->whole);
        upstream->whole = config_ref(fetcher->config);
        upstream->config = config;
        return false;
    }
    struct upstream *heir = config ? upstream_new(fetcher, config) : NULL;
    if (heir)
        inherit_urls(heir, upstream);
    retire_upstream(upstream);
    if (heir)
        map_set(fetcher->upstreams, slice_of(config->name), heir);
    return true;
}

/* A copy of the table: map_each allows no changes to it. */
struct upstream_array {
    struct upstream **items;
    size_t count;
};

static void collect_upstream(struct slice name, void *value, void *arg)
{
    struct upstream_array *all = arg;

    (void)name;
    all->items[all->count++] = value;
}

static size_t collect_all(struct fetcher *fetcher, struct upstream ***out)
{
    size_t count = map_count(fetcher->upstreams) + 1;
    struct upstream_array all = {.items = mem_zalloc(count, sizeof(struct upstream *))};

    map_each(fetcher->upstreams, collect_upstream, &all);
    *out = all.items;
    return all.count;
}

bool upstream_reconfigure_all(struct fetcher *fetcher)
{
    AUTO_FREE struct upstream **all = NULL;
    size_t count = collect_all(fetcher, &all);
    bool is_replaced = false;

    for (size_t i = 0; i < count; i++)
        is_replaced = reconfigure_upstream(fetcher, all[i]) || is_replaced;
    return is_replaced;
}

void upstream_free_all(struct fetcher *fetcher)
{
    AUTO_FREE struct upstream **all = NULL;
    size_t count = collect_all(fetcher, &all);

    for (size_t i = 0; i < count; i++) {
        drop_tokens(all[i]); /* token fetches hold references */
        upstream_unref(&all[i]);
    }
    while (!list_is_empty(&fetcher->retired_upstreams)) {
        struct upstream *retired =
            LIST_ITEM(fetcher->retired_upstreams.next, struct upstream, link);

        /* It has no reference when its end is only deferred; drop_tokens may give up the last. */
        loop_cancel_deferred(fetcher->options.loop, retired);
        retired->references++;
        drop_tokens(retired);
        upstream_unref(&retired);
    }
    map_free(&fetcher->upstreams);
}

bool upstream_has_credentials(const struct upstream *upstream)
{
    const struct config_upstream *config = upstream->config;

    return config->username && config->password && config->expose;
}

static bool may_warn(struct upstream *upstream)
{
    struct monotime now = clock_mono();

    if (upstream->login_warned_at.ms != 0 &&
        monotime_since(now, upstream->login_warned_at) < LOGIN_WARNING_MS)
        return false;
    upstream->login_warned_at = now;
    return true;
}

void upstream_warn_realm(struct upstream *upstream, const struct url_parts *realm)
{
    struct log_line line;

    if (!may_warn(upstream))
        return;
    log_begin(&line, LOG_WARN);
    log_text(&line, "origin", upstream->config->name);
    log_slice(&line, "host", realm->authority);
    log_end(&line,
            "the token server is on another host than the upstream and is asked without the "
            "password; if it is right, set upstreams.%s.auth_hosts: [%.*s]",
            upstream->config->name, SLICE_PRINT(realm->authority));
}

void upstream_warn_login(struct upstream *upstream, const char *whom, int status)
{
    struct log_line line;

    if (!may_warn(upstream))
        return;
    log_begin(&line, LOG_WARN);
    log_text(&line, "origin", upstream->config->name);
    log_u64(&line, "status", (uint64_t)status);
    log_end(&line,
            "%s refuses our login; asking without it (see upstreams.%s.username and "
            "password_file)",
            whom, upstream->config->name);
}

void upstream_print_basic(const struct upstream *upstream, struct buf *out)
{
    const struct config_upstream *config = upstream->config;
    AUTO_BUF struct buf pair;

    buf_init(&pair, 8192);
    buf_printf(&pair, "%s:%s", config->username, config->password);
    buf_append_text(out, "Authorization: Basic ");
    base64_print(out, buf_bytes(&pair));
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

void upstream_print_blob_path(struct slice repository, const struct digest *digest, char *out,
                              size_t size)
{
    char text[DIGEST_TEXT_SIZE];

    (void)snprintf(out, size, "%.*s/blobs/%s", SLICE_PRINT(repository), digest_print(digest, text));
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
        return RETRY_AFTER_MAX_S; /* too large for 64 bits */
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
    if (slice_is(slice_of(upstream->name), DOCKER_HUB) && url->is_https && url->port == 443 &&
        slice_is_nocase(url->host, DOCKER_HUB_TOKEN_HOST))
        return HOST_LISTED;
    return HOST_OTHER;
}

/* Token servers of registries that everybody knows, where they are on another host. */
static bool is_known_realm(const struct url_parts *own, const struct url_parts *url)
{
    return own->is_https && url->is_https && url->port == 443 &&
           slice_is_nocase(own->host, "registry.gitlab.com") &&
           slice_is_nocase(url->host, "gitlab.com");
}

bool upstream_is_realm(const struct upstream *upstream, const struct url_parts *url)
{
    if (upstream_trusts(upstream, url) != HOST_OTHER ||
        is_listed(&upstream->config->auth_hosts, url))
        return true;
    for (size_t i = 0; i < upstream->url_count; i++) {
        const struct url_parts *own = &upstream->urls[i].parts;

        if (is_known_realm(own, url) ||
            (is_same_host(own, url) && (url->is_https || !own->is_https)))
            return true;
    }
    return false;
}

static bool may_be_plain(const struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->url_count; i++) {
        if (!upstream->urls[i].parts.is_https)
            return true;
    }
    return false;
}

/* The https address of the same host that a URL without TLS stands for; NULL: none. */
static const struct upstream_url *find_front(const struct upstream *upstream,
                                             const struct url_parts *url)
{
    for (size_t i = 0; i < upstream->url_count; i++) {
        const struct upstream_url *own = &upstream->urls[i];

        if (is_same_host(&own->parts, url) && (url->port == 80 || url->port == own->parts.port))
            return own;
    }
    return NULL;
}

void upstream_print_upgraded(const struct upstream *upstream, struct slice url, struct buf *out)
{
    const struct upstream_url *front = NULL;
    struct url_parts parts;

    if (url_split(url, &parts) && !parts.is_https && !may_be_plain(upstream))
        front = find_front(upstream, &parts);
    if (!front) {
        buf_append_slice(out, url);
        return;
    }
    buf_printf(out, "https://%.*s%.*s", SLICE_PRINT(front->parts.authority),
               SLICE_PRINT(parts.path));
}

int upstream_check_url(const struct upstream *upstream, const struct url_parts *url,
                       struct error *err)
{
    if (!url->is_https && !may_be_plain(upstream) && !is_listed(&upstream->config->http_hosts, url))
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
