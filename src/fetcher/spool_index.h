/* SPDX-License-Identifier: Apache-2.0 */
/* Spools that nobody writes: left by a fetcher before us, or by flights that ended early. The
 * newest take of each digest is kept for the next who asks, a day at most. */
#ifndef SPOOL_INDEX_H
#define SPOOL_INDEX_H

#include <stdbool.h>

#include "oci/digest.h"

struct fetcher;
struct spool_index;

struct spool_index *spool_index_new(struct fetcher *fetcher);
void spool_index_free(struct spool_index **index);
/* Look through spool/ once; removes what is old. */
void spool_index_scan(struct spool_index *index);
/* A flight ended and left this one. */
void spool_index_add(struct spool_index *index, const struct digest *digest, unsigned take);
/* Hands the spool over to a flight. */
bool spool_index_take(struct spool_index *index, const struct digest *digest, unsigned *out_take);

#endif
