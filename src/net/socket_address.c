/* SPDX-License-Identifier: Apache-2.0 */
/* A client is shown with the address that it knows itself by. */
#include "socket_address.h"

#include <arpa/inet.h>
#include <stdio.h>

void socket_address_print(const union socket_address *address, char out[ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(address->v4.sin_port));
    } else if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        (void)inet_ntop(AF_INET, &address->v6.sin6_addr.s6_addr[12], host, sizeof(host));
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(address->v6.sin6_port));
    } else if (address->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "[%s]:%u", host, ntohs(address->v6.sin6_port));
    } else {
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "unix");
    }
}
