/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags that an upstream does not have, or does not give, by its own word. Each is remembered for
 * fetch.negative_ttl, so that the upstream is not asked again at once; at most 10,000 of them. The
 * ledger knows nothing of it: a cached tag stays there. A key is an ask's key.
 */
#ifndef FETCHER_ABSENT_H
#define FETCHER_ABSENT_H

#include <stdbool.h>

#include "base/slice.h"

struct error;
struct fetcher;

/* `err` is what the upstream said. */
void absent_add(struct fetcher *fetcher, struct slice key, const struct error *err);
/* True: it is remembered, and *err is what the upstream said. */
bool absent_find(struct fetcher *fetcher, struct slice key, struct error *err);
void absent_free_all(struct fetcher *fetcher);

#endif
