/* SPDX-License-Identifier: Apache-2.0 */
/* See base/proxy_url.h. */
#include "base/proxy_url.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

#define PROXY_TEXT_MAX 1024
#define HOST_MAX       255

static const char *const schemes[] = {
    [PROXY_HTTP] = "http",
    [PROXY_HTTPS] = "https",
    [PROXY_SOCKS5] = "socks5",
    [PROXY_SOCKS5H] = "socks5h",
};
#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

/* Cuts "SCHEME://" off. */
static bool cut_scheme(struct slice *text, enum proxy_scheme *out)
{
    const char *end = memmem(text->data, text->length, "://", 3);

    *out = PROXY_HTTP;
    if (!end)
        return true;
    struct slice name = slice_from(text->data, (size_t)(end - text->data));
    *text = slice_skip(*text, name.length + 3);
    for (size_t i = 0; i < SCHEMES; i++) {
        if (slice_is_nocase(name, schemes[i])) {
            *out = (enum proxy_scheme)i;
            return true;
        }
    }
    return false;
}

static bool is_host_byte(char byte, bool is_address)
{
    bool is_digit = byte >= '0' && byte <= '9';
    bool is_hex = (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
    bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');

    if (is_address)
        return is_digit || is_hex || byte == ':' || byte == '.';
    return is_digit || is_letter || byte == '-' || byte == '.' || byte == '_';
}

static bool is_host(struct slice host, bool is_address)
{
    for (size_t i = 0; i < host.length; i++) {
        if (!is_host_byte(host.data[i], is_address))
            return false;
    }
    return host.length > 0 && host.length <= HOST_MAX;
}

static bool parse_authority(struct slice text, struct proxy_url *out)
{
    bool is_address = text.length > 0 && text.data[0] == '[';
    ptrdiff_t end = slice_find(text, is_address ? ']' : ':');
    uint64_t port = out->scheme == PROXY_HTTPS ? 443 : 1080;
    struct error ignored;

    if (is_address) {
        if (end < 0)
            return false;
        out->host = slice_from(text.data + 1, (size_t)end - 1);
        text = slice_skip(text, (size_t)end + 1);
    } else {
        out->host = slice_from(text.data, end < 0 ? text.length : (size_t)end);
        text = slice_skip(text, out->host.length);
    }
    if (text.length > 0 &&
        (text.data[0] != ':' || text_parse_u64(slice_skip(text, 1), &port, &ignored) != 0))
        return false;
    out->port = (unsigned)port;
    return is_host(out->host, is_address) && port > 0 && port <= 65535;
}

bool proxy_url_parse(struct slice text, struct proxy_url *out)
{
    struct proxy_url url = {.scheme = PROXY_HTTP};

    if (text.length == 0 || text.length > PROXY_TEXT_MAX)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("\"\\#?", text.data[i]))
            return false;
    }
    if (!cut_scheme(&text, &url.scheme))
        return false;
    if (slice_ends_with(text, "/"))
        text.length--;
    if (slice_find(text, '/') >= 0)
        return false;
    ptrdiff_t at = slice_find_last(text, '@');
    if (at >= 0) {
        url.has_login = true;
        url.password = slice_from(text.data, (size_t)at);
        (void)slice_split(&url.password, ':', &url.user);
        text = slice_skip(text, (size_t)at + 1);
        if (url.user.length == 0)
            return false;
    }
    if (!parse_authority(text, &url))
        return false;
    *out = url;
    return true;
}

void proxy_url_print(const struct proxy_url *url, bool with_password, struct buf *out)
{
    bool is_address = slice_find(url->host, ':') >= 0;

    buf_printf(out, "%s://", schemes[url->scheme]);
    if (url->has_login)
        buf_append_slice(out, url->user);
    if (url->has_login && with_password && url->password.length > 0)
        buf_printf(out, ":%.*s", SLICE_PRINT(url->password));
    if (url->has_login)
        buf_append_byte(out, '@');
    buf_printf(out, is_address ? "[%.*s]:%u" : "%.*s:%u", SLICE_PRINT(url->host), url->port);
}
