/* SPDX-License-Identifier: Apache-2.0 */
/* A client needs its socket, and the file that it reads or writes. */
#include "connection_limit.h"

#define PER_CLIENT      2
#define RESERVE         256 /* listeners, channels, the ledger, descriptors that arrive with messages */
#define CONNECTIONS_MIN 8

uint64_t connection_limit(uint64_t setting, uint64_t descriptors)
{
    uint64_t possible = descriptors > RESERVE ? (descriptors - RESERVE) / PER_CLIENT : 0;

    if (possible < CONNECTIONS_MIN)
        possible = CONNECTIONS_MIN;
    return setting < possible ? setting : possible;
}
