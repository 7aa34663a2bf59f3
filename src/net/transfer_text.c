/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of a transfer: URLs and header lines. Pure functions. */
#include "base/error.h"
#include "base/text.h"
#include "net/transfer.h"

bool transfer_next_header(struct slice *headers, const char *name, struct slice *out)
{
    struct slice line;

    while (slice_split(headers, '\n', &line)) {
        ptrdiff_t colon = slice_find(line, ':');

        if (colon < 0 || !slice_is_nocase(slice_from(line.data, (size_t)colon), name))
            continue;
        struct slice value = slice_skip(line, (size_t)colon + 1);
        if (value.length > 0 && value.data[value.length - 1] == '\r')
            value.length--;
        *out = slice_trim(value);
        return true;
    }
    return false;
}

bool transfer_header(struct slice headers, const char *name, struct slice *out)
{
    return transfer_next_header(&headers, name, out);
}

static bool is_host_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_';
}

static bool is_address_byte(char byte)
{
    return (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F') ||
           (byte >= '0' && byte <= '9') || byte == ':' || byte == '.';
}

/* Splits off the host; *end is where it ends in the authority. False if it has bytes that a host
 * cannot have. */
static bool split_host(struct slice authority, struct slice *host, size_t *end)
{
    if (authority.length > 0 && authority.data[0] == '[') {
        ptrdiff_t close = slice_find(authority, ']');

        if (close < 2)
            return false;
        *host = slice_from(authority.data + 1, (size_t)close - 1);
        *end = (size_t)close + 1;
        for (size_t i = 0; i < host->length; i++) {
            if (!is_address_byte(host->data[i]))
                return false;
        }
        return true;
    }
    ptrdiff_t colon = slice_find(authority, ':');
    *end = colon < 0 ? authority.length : (size_t)colon;
    *host = slice_from(authority.data, *end);
    for (size_t i = 0; i < host->length; i++) {
        if (!is_host_byte(host->data[i]))
            return false;
    }
    return host->length > 0 && host->length <= 255;
}

static bool split_authority(struct slice authority, struct url_parts *out)
{
    size_t end = 0;

    if (!split_host(authority, &out->host, &end))
        return false;
    out->port = out->is_https ? 443 : 80;
    if (end == authority.length)
        return true;
    uint64_t port = 0;
    struct error err;
    if (authority.data[end] != ':' ||
        text_parse_u64(slice_skip(authority, end + 1), &port, &err) != 0)
        return false;
    out->port = (unsigned)port;
    return port > 0 && port <= 65535;
}

bool url_split(struct slice url, struct url_parts *out)
{
    if (url.length > 8192)
        return false;
    for (size_t i = 0; i < url.length; i++) {
        if (url.data[i] <= ' ' || url.data[i] > '~' || url.data[i] == '#' || url.data[i] == '\\')
            return false;
    }
    ptrdiff_t colon = slice_find(url, ':');
    if (colon < 0)
        return false;
    struct slice scheme = slice_from(url.data, (size_t)colon);
    out->is_https = slice_is_nocase(scheme, "https");
    if (!out->is_https && !slice_is_nocase(scheme, "http"))
        return false;
    struct slice rest = slice_skip(url, (size_t)colon + 1);
    if (!slice_starts_with(rest, "//"))
        return false;
    rest = slice_skip(rest, 2);
    size_t end = 0;
    while (end < rest.length && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    out->authority = slice_from(rest.data, end);
    out->path = slice_skip(rest, end);
    if (out->path.length == 0)
        out->path = SLICE_LITERAL("/");
    return out->path.data[0] == '/' && split_authority(out->authority, out);
}
