/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, hosts, URLs and booleans are checked when the configuration is read, so that a typing
 * error is reported with its line and not when the value is first used. */
#include "values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/network.h"
#include "base/proxy_url.h"
#include "base/text.h"
#include "oci/name.h"

bool value_is_text(struct slice text)
{
    while (text.length > 0) {
        unsigned char first = (unsigned char)text.data[0];
        size_t length = text_utf8_length(text);
        bool is_c1_control = length == 2 && first == 0xc2 && (unsigned char)text.data[1] < 0xa0;

        if (length == 0 || first < 0x20 || first == 0x7f || is_c1_control)
            return false;
        text = slice_skip(text, length);
    }
    return true;
}

static bool is_port(struct slice text)
{
    uint64_t port = 0;
    struct error ignored;

    return text_parse_u64(text, &port, &ignored) == 0 && port <= 65535;
}

/* Names are not looked up for listening (net/listener.h), so only these can be bound. */
static bool is_bindable(struct slice host)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr ignored;
    bool is_v6 = host.length >= 2 && host.data[0] == '[' && host.data[host.length - 1] == ']';

    if (is_v6)
        host = slice_from(host.data + 1, host.length - 2);
    if (host.length >= sizeof(text))
        return false;
    memcpy(text, host.data, host.length);
    return slice_is_nocase(host, "localhost")
               ? !is_v6
               : inet_pton(is_v6 ? AF_INET6 : AF_INET, text, &ignored) == 1;
}

static bool is_number(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.length > 0;
}

/* Without brackets. */
static bool is_ipv6(struct slice text)
{
    char copy[INET6_ADDRSTRLEN] = "";
    struct in6_addr ignored;

    if (text.length >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.length);
    return inet_pton(AF_INET6, copy, &ignored) == 1;
}

/* Says what is wrong with an address that cannot be bound, and how it is written. */
static int refuse_address(struct slice text, struct error *err)
{
    ptrdiff_t colon = slice_find_last(text, ':');
    struct slice port = colon < 0 ? slice_of(NULL) : slice_skip(text, (size_t)colon + 1);
    struct slice host = colon < 0 ? text : slice_from(text.data, (size_t)colon);

    if (is_ipv6(host)) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\": write an IPv6 address in brackets: [%.*s]:%.*s",
                         SLICE_PRINT(text), SLICE_PRINT(host), SLICE_PRINT(port));
    }
    if (is_ipv6(text)) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\": write an IPv6 address in brackets, and a port: [%.*s]:32000",
                         SLICE_PRINT(text), SLICE_PRINT(text));
    }
    if (is_bindable(text)) {
        return error_set(err, ERR_INVALID, "\"%.*s\": the port is missing; write %.*s:32000",
                         SLICE_PRINT(text), SLICE_PRINT(text));
    }
    if (slice_starts_with(text, "/")) {
        return error_set(err, ERR_INVALID, "\"%.*s\": write unix:%.*s for a socket file",
                         SLICE_PRINT(text), SLICE_PRINT(text));
    }
    if (is_bindable(host) || is_number(text) || (is_number(port) && !is_port(port))) {
        return error_set(err, ERR_INVALID, "\"%.*s\": a port is a number from 0 to 65535",
                         SLICE_PRINT(text));
    }
    return error_set(err, ERR_INVALID,
                     "\"%.*s\" is not an address; write 0.0.0.0:32000, [::]:32000, "
                     "localhost:32000 or unix:/path%s",
                     SLICE_PRINT(text), is_port(port) ? " (names of hosts are not looked up)" : "");
}

static int read_unix_address(struct slice text, char **out, struct error *err)
{
    /* sun_path has 108 bytes. */
    if (text.length <= 5 || text.length > 5 + 107) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\": the path of a socket must have 1 to 107 bytes",
                         SLICE_PRINT(text));
    }
    *out = slice_dup(text);
    return 0;
}

static int refuse_scheme(struct slice text, struct error *err)
{
    bool is_tls = slice_starts_with(text, "https://");
    struct slice rest = slice_skip(text, is_tls ? 8 : 7);

    return error_set(err, ERR_INVALID, "\"%.*s\": an address has no scheme; write %.*s%s",
                     SLICE_PRINT(text), SLICE_PRINT(rest),
                     is_tls ? ", and let a proxy in front terminate TLS" : "");
}

static int read_tcp_address(struct slice text, char **out, struct error *err)
{
    ptrdiff_t colon = slice_find_last(text, ':');

    if (colon < 0 || !is_port(slice_skip(text, (size_t)colon + 1)))
        return refuse_address(text, err);
    struct slice host = slice_from(text.data, (size_t)colon);
    if (host.length == 0) { /* ":5000", as Go programs write it: every address */
        *out = mem_alloc(sizeof("[::]") + text.length);
        memcpy(*out, "[::]", 4);
        memcpy(*out + 4, text.data, text.length);
        (*out)[4 + text.length] = '\0';
        return 0;
    }
    if (!is_bindable(host))
        return refuse_address(text, err);
    *out = slice_dup(text);
    return 0;
}

int value_address(struct slice text, char **out, struct error *err)
{
    char address[32];

    if (slice_starts_with(text, "unix:"))
        return read_unix_address(text, out, err);
    if (slice_starts_with(text, "http://") || slice_starts_with(text, "https://"))
        return refuse_scheme(text, err);
    if (!is_number(text) || !is_port(text))
        return read_tcp_address(text, out, err);
    (void)snprintf(address, sizeof(address), "localhost:%.*s", SLICE_PRINT(text));
    *out = slice_dup(slice_of(address)); /* a port alone: on this machine only */
    return 0;
}

int value_host(struct slice text, char **out, struct error *err)
{
    AUTO_FREE char *lower = slice_dup(text);

    for (char *c = lower; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (!registry_is_valid(slice_of(lower))) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\" is not a host name; write "
                         "registry.example or registry.example:5000",
                         SLICE_PRINT(text));
    }
    *out = TAKE(lower);
    return 0;
}

#define URL_BASE_MAX 255 /* bytes of a path before "/v2/" */

static bool is_path_segment(struct slice segment)
{
    for (size_t i = 0; i < segment.length; i++) {
        char c = segment.data[i];

        if (c == '\0' || (!isalnum((unsigned char)c) && !strchr("-._~", c)) || (c & 0x80))
            return false;
    }
    return segment.length > 0 && !slice_is(segment, ".") && !slice_is(segment, "..");
}

/* The path of an upstream's URL, without a slash at either end: BASE/v2/PREFIX, or PREFIX alone.
 * Both parts point into it. */
static int split_path(struct slice path, struct slice *out_base, struct slice *out_prefix,
                      struct error *err)
{
    struct slice rest = path;
    struct slice segment;
    bool has_v2 = false;

    *out_base = slice_of("");
    *out_prefix = path;
    while (rest.length > 0 && slice_split(&rest, '/', &segment)) {
        if (!is_path_segment(segment)) {
            return error_set(err, ERR_INVALID,
                             "in the path \"%.*s\" only letters, digits, - . _ ~ and single "
                             "slashes may stand, no . or .. alone, %% or query",
                             SLICE_PRINT(path));
        }
        if (has_v2 || !slice_is(segment, "v2"))
            continue;
        has_v2 = true;
        if (segment.data > path.data)
            *out_base = slice_from(path.data, (size_t)(segment.data - path.data) - 1);
        *out_prefix = rest;
    }
    if (out_base->length > URL_BASE_MAX)
        return error_set(err, ERR_INVALID, "the path before /v2 has over %d bytes", URL_BASE_MAX);
    if (out_prefix->length > 0 && !name_is_valid(*out_prefix)) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\" is no beginning of a repository's name (lower case, no empty "
                         "parts); if it stands before /v2, write it so: %.*s/v2",
                         SLICE_PRINT(*out_prefix), SLICE_PRINT(path));
    }
    return 0;
}

static int refuse_url(struct slice text, const char *why, struct error *err)
{
    return error_set(err, ERR_INVALID, "\"%.*s\" %s", SLICE_PRINT(text), why);
}

int value_url(struct slice text, char **out, struct error *err)
{
    size_t scheme = slice_starts_with(text, "https://")  ? 8
                    : slice_starts_with(text, "http://") ? 7
                                                         : 0;
    struct slice base;
    struct slice prefix;

    if (scheme == 0)
        return refuse_url(text, "is not a URL; write https:// (or http://) and a host", err);
    struct slice path = slice_skip(text, scheme);
    struct slice authority = path;
    if (slice_split(&path, '/', &authority) && slice_find(authority, '@') >= 0)
        return refuse_url(text, "has a user; write it as username and password_file", err);
    while (slice_ends_with(path, "/"))
        path.length--;
    AUTO_FREE char *host = NULL;
    if (value_host(authority, &host, err) != 0) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\": a host, and perhaps a port and a path, must follow %.*s",
                         SLICE_PRINT(text), (int)scheme, text.data);
    }
    if (split_path(path, &base, &prefix, err) != 0)
        return error_wrap(err, "%.*s", SLICE_PRINT(text));
    AUTO_BUF struct buf url;
    buf_init(&url, 2048);
    buf_printf(&url, "%.*s%s", (int)scheme, text.data, host);
    if (base.length > 0)
        buf_printf(&url, "/%.*s", SLICE_PRINT(base));
    if (base.length > 0 || prefix.length > 0)
        buf_append_text(&url, "/v2");
    if (prefix.length > 0)
        buf_printf(&url, "/%.*s", SLICE_PRINT(prefix));
    *out = slice_dup(buf_bytes(&url));
    return 0;
}

int value_proxy(struct slice text, char **out, struct error *err)
{
    struct proxy_url url;

    if (slice_is_nocase(text, "none")) {
        *out = mem_strdup("none");
        return 0;
    }
    if (!proxy_url_parse(text, &url)) {
        ptrdiff_t at = slice_find_last(text, '@'); /* what is before it may be a password */
        struct slice shown = slice_skip(text, (size_t)(at + 1));

        shown.length = shown.length > 60 ? 60 : shown.length;
        return error_set(err, ERR_INVALID,
                         "\"%s%.*s\" is not a proxy; write http://, https://, socks5:// or "
                         "socks5h://, perhaps USER:PASSWORD@, and HOST:PORT, or none; in USER and "
                         "PASSWORD, %%23 stands for #",
                         at < 0 ? "" : "...@", SLICE_PRINT(shown));
    }
    AUTO_BUF struct buf whole;
    buf_init(&whole, 2048);
    proxy_url_print(&url, true, &whole);
    *out = slice_dup(buf_bytes(&whole));
    return 0;
}

int value_no_proxy(struct slice text, char **out, struct error *err)
{
    bool is_right = text.length > 0 && text.length <= 255;

    for (size_t i = 0; i < text.length; i++) {
        bool is_letter = isalnum((unsigned char)text.data[i]) != 0;

        is_right = is_right && (is_letter || strchr("*.:-_/[]", text.data[i]));
    }
    if (!is_right || slice_starts_with(text, "http:") || slice_starts_with(text, "https:")) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\" is no host; write a host, a domain like .example.com, an "
                         "address, a network like 10.0.0.0/8, or *",
                         SLICE_PRINT(text));
    }
    *out = slice_dup(text);
    for (char *c = *out; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return 0;
}

int value_network(struct slice text, char **out, struct error *err)
{
    struct network ignored;

    if (!slice_is(text, "unix") && network_parse(text, &ignored, err) != 0) {
        return error_set(
            err, ERR_INVALID,
            "\"%.*s\" is no address of a proxy; write 10.0.0.7, 10.0.0.0/8, fd00::/8, or "
            "unix for those that come through a unix socket",
            SLICE_PRINT(text));
    }
    *out = slice_dup(text);
    return 0;
}

int value_path(struct slice text, char **out, struct error *err)
{
    bool is_home = slice_is(text, "~") || slice_starts_with(text, "~/");

    if (is_home || slice_find(text, '$') >= 0) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\": %s is not replaced here; write the whole path",
                         SLICE_PRINT(text), is_home ? "~" : "$");
    }
    *out = slice_dup(text);
    return 0;
}

int value_socket(struct slice text, char **out, struct error *err)
{
    struct slice path = slice_starts_with(text, "unix:") ? slice_skip(text, 5) : text;

    if (!slice_starts_with(path, "/") && !slice_is(text, "auto") && !slice_is(text, "none")) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\" is not allowed; expected auto, none or a path from / on",
                         SLICE_PRINT(text));
    }
    if (path.length > 107) { /* sun_path has 108 bytes */
        return error_set(err, ERR_INVALID,
                         "\"%.*s\": the path of a socket must have 1 to 107 bytes",
                         SLICE_PRINT(text));
    }
    *out = slice_dup(path);
    return 0;
}

int value_mode(struct slice text, unsigned *out, struct error *err)
{
    unsigned mode = 0;
    bool is_right = text.length >= 3 && text.length <= 4;

    for (size_t i = 0; i < text.length && is_right; i++) {
        is_right = text.data[i] >= '0' && text.data[i] <= '7';
        mode = mode * 8 + (unsigned)(text.data[i] - '0');
    }
    if (!is_right || mode == 0 || mode > 0777)
        return error_set(err, ERR_INVALID, "expected a mode like 0660");
    *out = mode;
    return 0;
}

int value_pattern(struct slice text, char **out, struct error *err)
{
    for (size_t i = 0; i < text.length; i++) {
        if (strchr("^$()|+\\{}", text.data[i])) {
            return error_set(err, ERR_INVALID,
                             "\"%.*s\" is a regular expression; a pattern is a name in which * "
                             "stands for any text, like team/*",
                             SLICE_PRINT(text));
        }
    }
    *out = slice_dup(text);
    return 0;
}

/* What a pattern for names says beyond its stars must be able to stand in a name. */
int value_name_pattern(struct slice text, char **out, struct error *err)
{
    bool is_path = slice_starts_with(text, "/") || slice_ends_with(text, "/");
    bool has_capital = false;

    for (size_t i = 0; i < text.length; i++)
        has_capital = has_capital || isupper((unsigned char)text.data[i]);
    if (is_path || has_capital) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\" fits no repository, because names %s; write it like team/*",
                         SLICE_PRINT(text),
                         is_path ? "neither begin nor end with /" : "have no capital letters");
    }
    return value_pattern(text, out, err);
}

int value_bool(struct slice text, bool *out, struct error *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (slice_is_nocase(text, yes[i]) || slice_is_nocase(text, no[i])) {
            *out = slice_is_nocase(text, yes[i]);
            return 0;
        }
    }
    return error_set(err, ERR_INVALID, "\"%.*s\" is neither true nor false; write one of them",
                     SLICE_PRINT(text));
}
