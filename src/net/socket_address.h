/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of sockets, as the kernel has them. */
#ifndef NET_SOCKET_ADDRESS_H
#define NET_SOCKET_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/listener.h"

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

/* "HOST:PORT", "[HOST]:PORT", or "unix"; an IPv4 one of a dual-stack socket as IPv4. */
void socket_address_print(const union socket_address *address, char out[ADDRESS_TEXT_SIZE]);

#endif
