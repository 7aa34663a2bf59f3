/* SPDX-License-Identifier: Apache-2.0 */
/* How a URL that an upstream leads to is reached: through which proxy, and with which trust. */
#ifndef FETCHER_ROUTE_H
#define FETCHER_ROUTE_H

#include <stdbool.h>

#include "net/transfer.h"

struct upstream;

/* Fills in how this URL is reached. may_identify: it is a host that may get our credentials, so our
 * certificate is shown, if there is one and `expose` allows it; true is returned then. What
 * *request points to is good for this turn of the loop. */
bool route_set(const struct upstream *upstream, const struct url_parts *url, bool may_identify,
               struct transfer_request *request);

#endif
