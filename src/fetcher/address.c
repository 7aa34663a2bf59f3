/* SPDX-License-Identifier: Apache-2.0 */
/* See address.h. An IPv4 address inside an IPv6 address (mapped, NAT64) is judged as the IPv4
 * address that it leads to. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static enum address_class class_of_v4(uint32_t ip)
{
    uint32_t first = ip >> 24;

    if (first == 127 || first == 0)
        return ADDRESS_LOOPBACK;
    if (first == 10 || (ip >> 20) == 0xac1 || (ip >> 16) == 0xc0a8 || (ip >> 22) == 0x191)
        return ADDRESS_PRIVATE;
    if ((ip >> 16) == 0xa9fe)
        return ADDRESS_LINK_LOCAL;
    return first >= 224 ? ADDRESS_OTHER : ADDRESS_PUBLIC;
}

static uint32_t read_v4(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static enum address_class class_of_v6(const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
    static const uint8_t zero[15] = {0};

    if (memcmp(bytes, mapped, sizeof(mapped)) == 0 || memcmp(bytes, nat64, sizeof(nat64)) == 0)
        return class_of_v4(read_v4(bytes + 12));
    if (memcmp(bytes, zero, sizeof(zero)) == 0 && bytes[15] <= 1)
        return ADDRESS_LOOPBACK;
    if (memcmp(bytes, zero, 12) == 0) /* the old "compatible" form */
        return class_of_v4(read_v4(bytes + 12));
    if ((bytes[0] & 0xfe) == 0xfc)
        return ADDRESS_PRIVATE;
    if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
        return ADDRESS_LINK_LOCAL;
    if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0xc0)
        return ADDRESS_PRIVATE;
    return bytes[0] == 0xff ? ADDRESS_OTHER : ADDRESS_PUBLIC;
}

enum address_class address_class_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, address, sizeof(v4));
        return class_of_v4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, address, sizeof(v6));
        return class_of_v6(v6.sin6_addr.s6_addr);
    }
    return ADDRESS_OTHER;
}

bool address_of_literal(struct slice host, enum address_class *out)
{
    char text[64];
    struct in_addr v4;
    struct in6_addr v6;

    if (host.length == 0 || host.length >= sizeof(text))
        return false;
    memcpy(text, host.data, host.length);
    text[host.length] = '\0';
    if (inet_pton(AF_INET6, text, &v6) == 1) {
        *out = class_of_v6(v6.s6_addr);
        return true;
    }
    /* inet_aton knows 127.1, 0x7f000001 and 2130706433 as well: what a resolver would make of them.
     */
    if (inet_aton(text, &v4) != 0) {
        *out = class_of_v4(ntohl(v4.s_addr));
        return true;
    }
    return false;
}

bool address_is_allowed(enum address_class address, unsigned own)
{
    if (address == ADDRESS_PUBLIC)
        return true;
    return address != ADDRESS_OTHER && (own & (unsigned)address) != 0;
}
