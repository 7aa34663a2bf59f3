/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which proxy a URL of an upstream is asked through: the variables are those of curl, with its
 * order and its rules for hosts without a proxy. Go's rule that this machine needs no proxy is
 * added.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "reader.h"
#include "settings.h"
#include "values.h"

#define NO_PROXY "none" /* as a value of proxy: */
#define LIST_MAX 65536

/* ---- what needs none ---- */

/* The bytes of an address; 0: it is none. */
static unsigned read_address(struct slice text, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];

    if (text.length >= sizeof(copy))
        return 0;
    (void)snprintf(copy, sizeof(copy), "%.*s", SLICE_PRINT(text));
    if (inet_pton(AF_INET, copy, out) == 1)
        return 4;
    return inet_pton(AF_INET6, copy, out) == 1 ? 16 : 0;
}

static bool has_same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned bytes = bits / 8;
    unsigned rest = bits % 8;

    return memcmp(a, b, bytes) == 0 &&
           (rest == 0 || ((unsigned)(a[bytes] ^ b[bytes]) >> (8 - rest)) == 0);
}

/* An address, or a network like 10.0.0.0/8. */
static bool is_in_network(struct slice entry, struct slice host)
{
    uint8_t network[16];
    uint8_t address[16];
    struct slice first;
    struct slice rest = entry;
    struct error ignored;
    uint64_t bits = 0;

    if (!slice_split(&rest, '/', &first))
        return false;
    unsigned length = read_address(first, network);
    if (length == 0 || read_address(host, address) != length)
        return false;
    if (!rest.data)
        return has_same_bits(network, address, length * 8);
    return text_parse_u64(rest, &bits, &ignored) == 0 && bits <= (uint64_t)length * 8 &&
           has_same_bits(network, address, (unsigned)bits);
}

/* The host itself, or one below it. */
static bool is_in_domain(struct slice entry, struct slice host)
{
    if (slice_starts_with(entry, "*."))
        entry = slice_skip(entry, 1);
    if (slice_starts_with(entry, "."))
        entry = slice_skip(entry, 1);
    if (entry.length > 1 && entry.data[entry.length - 1] == '.')
        entry.length--;
    if (entry.length == 0 || entry.length > host.length)
        return false;
    size_t before = host.length - entry.length;
    return slice_equal(slice_skip(host, before), entry) &&
           (before == 0 || host.data[before - 1] == '.');
}

/* Cuts ":PORT" off, and the brackets of an address. False: it is about another port. */
static bool cut_port(struct slice *entry, unsigned port)
{
    bool is_bracketed = entry->length > 0 && entry->data[0] == '[';
    ptrdiff_t colon = slice_find_last(*entry, ':');
    uint64_t number = port;
    struct error ignored;

    if (is_bracketed) {
        ptrdiff_t end = slice_find(*entry, ']');

        if (end < 0)
            return false;
        struct slice after = slice_skip(*entry, (size_t)end + 1);
        *entry = slice_from(entry->data + 1, (size_t)end - 1);
        return after.length == 0 ||
               (after.data[0] == ':' &&
                text_parse_u64(slice_skip(after, 1), &number, &ignored) == 0 && number == port);
    }
    if (colon < 0 || slice_find(*entry, ':') != colon) /* no port, or an IPv6 address */
        return true;
    if (text_parse_u64(slice_skip(*entry, (size_t)colon + 1), &number, &ignored) != 0)
        return false;
    entry->length = (size_t)colon;
    return number == port;
}

static bool is_excepted(const struct config_list *list, struct slice host, unsigned port)
{
    uint8_t unused[16];
    bool is_address = read_address(host, unused) > 0;

    for (size_t i = 0; i < list->count; i++) {
        struct slice entry = slice_of(list->items[i]);

        if (slice_is(entry, "*"))
            return true;
        if (cut_port(&entry, port) &&
            (is_address ? is_in_network(entry, host) : is_in_domain(entry, host)))
            return true;
    }
    return false;
}

static bool is_here(struct slice host)
{
    uint8_t address[16];
    static const uint8_t loopback[16] = {[15] = 1};
    unsigned length = read_address(host, address);

    return slice_is(host, "localhost") || slice_ends_with(host, ".localhost") ||
           (length == 4 && address[0] == 127) ||
           (length == 16 && memcmp(address, loopback, sizeof(loopback)) == 0);
}

const char *config_proxy(const struct config *config, const struct config_upstream *upstream,
                         bool is_https, struct slice host, unsigned port)
{
    const char *general = is_https ? config->fetch.https_proxy : config->fetch.http_proxy;
    const char *proxy = upstream->proxy ? upstream->proxy : general;
    char lower[256] = "";

    if (!proxy || strcmp(proxy, NO_PROXY) == 0)
        return NULL;
    for (size_t i = 0; i < host.length && i < sizeof(lower) - 1; i++) {
        bool is_capital = host.data[i] >= 'A' && host.data[i] <= 'Z';

        lower[i] = (char)(is_capital ? host.data[i] - 'A' + 'a' : host.data[i]);
    }
    struct slice name = slice_of(lower);
    if (name.length > 1 && name.data[name.length - 1] == '.')
        name.length--;
    if (is_excepted(&config->fetch.no_proxy, name, port) || (!upstream->proxy && is_here(name)))
        return NULL;
    return proxy;
}

/* ---- the variables ---- */

static const char *variable_find(const char *const *environment, const char *name)
{
    size_t length = strlen(name);

    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=' &&
            (*environment)[length + 1] != '\0')
            return *environment + length + 1;
    }
    return NULL;
}

/* curl allows spaces between entries as well, and passes over what it does not understand. */
static void print_entries(struct reader *reader, const struct position *at, struct slice text,
                          struct buf *out)
{
    AUTO_FREE char *spaced = slice_dup(text);
    struct slice rest = slice_of(spaced);
    struct slice entry;

    for (char *c = spaced; *c != '\0'; c++)
        *c = (char)(*c == ' ' ? ',' : *c);
    while (slice_split(&rest, ',', &entry)) {
        AUTO_FREE char *value = NULL;
        struct error err;

        if (entry.length > 0 && value_no_proxy(entry, &value, &err) != 0)
            reader_warning(reader, at, NULL, "%s; it is ignored", err.text);
        else
            buf_printf(out, "%.*s,", SLICE_PRINT(entry));
    }
}

/* The first of the variables that is there says it. */
static void read_first(struct reader *reader, const char *const *environment, const char *path,
                       const char *const *names)
{
    const struct setting *setting = setting_find(&settings_of_config, slice_of(path));

    for (; *names; names++) {
        const char *value = variable_find(environment, *names);
        struct position at = {*names, 0, 0};

        if (!value)
            continue;
        AUTO_BUF struct buf list;
        buf_init(&list, LIST_MAX);
        if (setting_is_list(setting))
            print_entries(reader, &at, slice_of(value), &list);
        else
            buf_append_text(&list, value);
        reader_set_text(reader, setting, buf_bytes(&list), &at);
        return;
    }
}

static bool has_plain_url(const struct config *config)
{
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_list *urls = &config->upstreams[i].urls;

        for (size_t k = 0; k < urls->count; k++) {
            if (slice_starts_with(slice_of(urls->items[k]), "http://"))
                return true;
        }
    }
    return false;
}

void proxy_variables_read(struct reader *reader, const char *const *environment)
{
    static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                        NULL};
    static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const except[] = {"no_proxy", "NO_PROXY", NULL};
    static const struct position at = {"HTTP_PROXY", 0, 0};
    const struct config *config = reader->config;
    const struct setting *list = setting_find(&settings_of_config, SLICE_LITERAL("fetch.no_proxy"));

    if (!config->fetch.https_proxy)
        read_first(reader, environment, "fetch.https_proxy", https);
    if (!config->fetch.http_proxy)
        read_first(reader, environment, "fetch.http_proxy", http);
    if (!reader_is_written(reader, list))
        read_first(reader, environment, "fetch.no_proxy", except);
    if (!config->fetch.http_proxy && has_plain_url(config) &&
        variable_find(environment, "HTTP_PROXY")) {
        reader_warning(reader, &at, NULL,
                       "this variable is not used, as curl does not use it; set http_proxy or "
                       "fetch.http_proxy for the upstreams with an http:// URL");
    }
}
