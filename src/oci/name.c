/* SPDX-License-Identifier: Apache-2.0 */
/* The grammars of names, written by hand: one pass each, no backtracking, no locale. */
#include "oci/name.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* Length of the separator at `at`: one '.', one or two '_', any number of '-'; 0 if there is none.
 */
static size_t separator_length(struct slice s, size_t at)
{
    char c = s.data[at];
    size_t length = 1;

    if (c == '.')
        return 1;
    if (c != '_' && c != '-')
        return 0;
    while (at + length < s.length && s.data[at + length] == c)
        length++;
    return c == '_' && length > 2 ? 0 : length;
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool component_is_valid(struct slice s)
{
    size_t at = 0;

    for (;;) {
        size_t word = at;

        while (at < s.length && is_lower_alnum(s.data[at]))
            at++;
        if (at == word)
            return false;
        if (at == s.length)
            return true;
        size_t separator = separator_length(s, at);
        if (separator == 0)
            return false;
        at += separator;
    }
}

bool name_is_valid(struct slice name)
{
    struct slice rest = name;
    struct slice component;

    if (name.length == 0 || name.length > NAME_MAX_LENGTH || name.data[name.length - 1] == '/')
        return false;
    while (slice_split(&rest, '/', &component)) {
        if (!component_is_valid(component))
            return false;
    }
    return true;
}

bool tag_is_valid(struct slice tag)
{
    if (tag.length == 0 || tag.length > TAG_MAX_LENGTH || tag.data[0] == '.' || tag.data[0] == '-')
        return false;
    for (size_t i = 0; i < tag.length; i++) {
        char c = tag.data[i];

        if (!is_alnum(c) && c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

/* 1 to 65535, without leading zeros. */
static bool port_is_valid(struct slice port)
{
    unsigned number = 0;

    if (port.length == 0 || port.length > 5 || port.data[0] == '0')
        return false;
    for (size_t i = 0; i < port.length; i++) {
        if (port.data[i] < '0' || port.data[i] > '9')
            return false;
        number = number * 10 + (unsigned)(port.data[i] - '0');
    }
    return number <= 65535;
}

/* [a-z0-9-]+ between dots, no '-' at either end. */
static bool host_is_valid(struct slice host)
{
    if (host.length == 0 || host.data[host.length - 1] == '.')
        return false;
    struct slice rest = host;
    struct slice label;
    while (slice_split(&rest, '.', &label)) {
        if (label.length == 0 || label.length > 63 || label.data[0] == '-' ||
            label.data[label.length - 1] == '-')
            return false;
        for (size_t i = 0; i < label.length; i++) {
            if (!is_lower_alnum(label.data[i]) && label.data[i] != '-')
                return false;
        }
    }
    return true;
}

/* The text between brackets. */
static bool address6_is_valid(struct slice address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr parsed;

    if (address.length == 0 || address.length >= sizeof(text))
        return false;
    for (size_t i = 0; i < address.length; i++) {
        char c = address.data[i];

        if (c == '\0' || (c >= 'A' && c <= 'Z'))
            return false;
    }
    memcpy(text, address.data, address.length);
    text[address.length] = '\0';
    return inet_pton(AF_INET6, text, &parsed) == 1;
}

bool registry_is_valid(struct slice registry)
{
    if (registry.length == 0 || registry.length > REGISTRY_MAX_LENGTH)
        return false;
    if (registry.data[0] == '[') {
        ptrdiff_t end = slice_find(registry, ']');

        if (end < 0 || !address6_is_valid(slice_from(registry.data + 1, (size_t)end - 1)))
            return false;
        struct slice after = slice_skip(registry, (size_t)end + 1);
        return after.length == 0 || (after.data[0] == ':' && port_is_valid(slice_skip(after, 1)));
    }
    ptrdiff_t colon = slice_find(registry, ':');
    if (colon < 0)
        return host_is_valid(registry);
    return host_is_valid(slice_from(registry.data, (size_t)colon)) &&
           port_is_valid(slice_skip(registry, (size_t)colon + 1));
}

struct slice registry_canonical(struct slice registry)
{
    if (slice_is(registry, "index.docker.io") || slice_is(registry, DOCKER_HUB_HOST))
        return SLICE_LITERAL(DOCKER_HUB);
    return registry;
}
