/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses have one length inside, so that a network is compared bit by bit whatever its kind. */
#include "base/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define MAPPED_BITS 96 /* before an IPv4 address */

bool ip_address_parse(struct slice text, struct ip_address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (text.length >= sizeof(copy) || memchr(text.data ? text.data : "", '\0', text.length))
        return false;
    memcpy(copy, text.data ? text.data : "", text.length);
    copy[text.length] = '\0';
    if (inet_pton(AF_INET, copy, bytes + sizeof(mapped)) == 1)
        memcpy(bytes, mapped, sizeof(mapped));
    else if (inet_pton(AF_INET6, copy, bytes) != 1)
        return false;
    memcpy(out->bytes, bytes, sizeof(bytes));
    return true;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int network_parse(struct slice text, struct network *out, struct error *err)
{
    ptrdiff_t slash = slice_find(text, '/');
    struct slice host = slash < 0 ? text : slice_from(text.data, (size_t)slash);
    bool is_v6 = slice_find(host, ':') >= 0;
    uint64_t bits = is_v6 ? 128 : 32;
    uint64_t most = bits;
    struct network network;

    if (!ip_address_parse(host, &network.base) ||
        (slash >= 0 && text_parse_u64(slice_skip(text, (size_t)slash + 1), &bits, err) != 0) ||
        bits > most) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\" is neither an IP address nor a network like 10.0.0.0/8",
                         SLICE_PRINT(text));
    }
    network.bits = (unsigned)bits + (is_v6 ? 0 : MAPPED_BITS);
    *out = network;
    return 0;
}

bool network_has(const struct network *network, const struct ip_address *address)
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (memcmp(network->base.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->base.bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}
