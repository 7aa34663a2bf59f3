/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange is one request to an upstream, over its addresses. It waits for one of
 * fetch.connections, asks the first address that is not known to be down or busy (hop.h), and asks
 * the next when that one says no (401, 403, 404, 429…). A no is believed when all addresses have
 * said it; a 401 is about our login and leaves a doubt. Other failures are not repeated here: the
 * caller does that (retry.h).
 */
#ifndef FETCHER_EXCHANGE_H
#define FETCHER_EXCHANGE_H

#include "exchange_types.h"

struct exchange;

/* Strings are copied; the handler is borrowed. */
struct exchange *exchange_start(const struct exchange_request *request,
                                const struct exchange_handler *handler, void *arg);
void exchange_resume(struct exchange *exchange);
/* Does it still wait for a connection? */
bool exchange_is_queued(const struct exchange *exchange);
/* Do downloads wait for a connection to this upstream? It may be one of them itself. */
bool exchange_others_wait(const struct exchange *exchange);
/* No callback comes after it. */
void exchange_cancel(struct exchange **exchange);

#endif
