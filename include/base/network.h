/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and networks as people write them. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

/* An IPv4 address is kept as IPv6 has it, ::ffff:10.0.0.7: on a socket for both it is the same. */
struct ip_address {
    uint8_t bytes[16];
};

/* All addresses whose first bits are those of `base`. */
struct network {
    struct ip_address base;
    unsigned bits;
};

/* "10.0.0.7", "2001:db8::1": nothing before or after it. */
bool ip_address_parse(struct slice text, struct ip_address *out);
bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);
/* "10.0.0.7", "10.0.0.0/8", "fd00::/8"; bits after the prefix do not matter. ERR_INVALID. */
int network_parse(struct slice text, struct network *out, struct error *err);
bool network_has(const struct network *network, const struct ip_address *address);

#endif
