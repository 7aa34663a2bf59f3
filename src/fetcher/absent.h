/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags that an upstream does not have, by its own word. Each is remembered for fetch.negative_ttl,
 * so that the upstream is not asked again at once; at most 10,000 of them. A key is an ask's key.
 */
#ifndef FETCHER_ABSENT_H
#define FETCHER_ABSENT_H

#include <stdbool.h>

#include "base/slice.h"

struct fetcher;

void absent_add(struct fetcher *fetcher, struct slice key);
bool absent_find(struct fetcher *fetcher, struct slice key);
void absent_free_all(struct fetcher *fetcher);

#endif
