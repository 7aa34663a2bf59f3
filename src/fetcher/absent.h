/* SPDX-License-Identifier: Apache-2.0 */
/* Tags an upstream said it lacks, remembered for fetch.negative_ttl; at most 10,000. */
#ifndef ABSENT_H
#define ABSENT_H

#include <stdbool.h>

#include "base/slice.h"

struct fetcher;

void absent_add(struct fetcher *fetcher, struct slice key);
bool absent_find(struct fetcher *fetcher, struct slice key);
void absent_free_all(struct fetcher *fetcher);

#endif
