/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses the fetcher may connect to: they are classed by the network they are in, so that
 * an upstream cannot lead us into a private network with a redirect or a name. Pure functions.
 */
#ifndef FETCHER_ADDRESS_H
#define FETCHER_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/slice.h"

enum address_class { /* bits, for sets of them */
    ADDRESS_PUBLIC = 1,
    ADDRESS_PRIVATE = 2, /* RFC 1918, RFC 6598, fc00::/7 */
    ADDRESS_LOOPBACK = 4,
    ADDRESS_LINK_LOCAL = 8, /* the metadata services of clouds are here */
    ADDRESS_OTHER = 16,     /* multicast, reserved, not IP: never */
};

enum address_class address_class_of(const struct sockaddr *address);
/* Is the host a literal address? Then *out is its class. */
bool address_of_literal(struct slice host, enum address_class *out);
/* May a host that the configuration does not name be at an address of class `found`? `own`: the
 * classes of the upstream's own addresses, as bits. */
bool address_is_allowed(enum address_class address, unsigned own);

#endif
