/* SPDX-License-Identifier: Apache-2.0 */
/* Where may we connect? Addresses by the network they are in. Pure. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/slice.h"

enum address_class { /* bits, for sets of them */
    ADDRESS_PUBLIC = 1,
    ADDRESS_PRIVATE = 2, /* RFC 1918, RFC 6598, fc00::/7 */
    ADDRESS_LOOPBACK = 4,
    ADDRESS_LINK_LOCAL = 8, /* with the metadata services of clouds */
    ADDRESS_OTHER = 16,     /* multicast, reserved, not IP: never */
};

enum address_class address_class_of(const struct sockaddr *address);
/* Is the host an address written out? Then its class. */
bool address_of_literal(struct slice host, enum address_class *out);
/* May a host that nobody listed be there, for an upstream whose own addresses are of `own` classes?
 */
bool address_is_allowed(enum address_class address, unsigned own);

#endif
