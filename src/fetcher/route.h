/* SPDX-License-Identifier: Apache-2.0 */
/* How a URL that an upstream leads to is reached: through which proxy, and with which trust. */
#ifndef FETCHER_ROUTE_H
#define FETCHER_ROUTE_H

#include "net/transfer.h"

struct upstream;

/* Fills in how this URL is reached. What it points to is good for this turn of the loop. */
void route_set(const struct upstream *upstream, const struct url_parts *url,
               struct transfer_request *request);

#endif
