/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spools that no flight writes: left by an earlier fetcher, or by flights that ended early. The
 * newest one of each digest is kept for the next flight that wants it: for a day at most, as many
 * as `fetch.partial_limit` has room for, the oldest go first. A spool that a flight writes is not
 * in the index. Folders are read and files removed in the pool.
 */
#ifndef FETCHER_SPOOL_INDEX_H
#define FETCHER_SPOOL_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "oci/digest.h"

struct fetcher;
struct spool_index;

struct spool_index *spool_index_new(struct fetcher *fetcher);
/* Nothing of the index may be left in the pool: fetcher_free waits for it. */
void spool_index_free(struct spool_index **index);
/* Read spool/ once, before any flight writes there, and remove what is too old. on_scanned comes on
 * the loop, also when the folder cannot be read (that is logged). */
void spool_index_scan(struct spool_index *index, void (*on_scanned)(struct fetcher *fetcher));
/* A flight ended and left the spool of this take number, of so many bytes. It may be removed at
 * once. */
void spool_index_add(struct spool_index *index, const struct digest *digest, unsigned take,
                     uint64_t bytes);
/* The take number of the spool of a digest. False: there is none. */
bool spool_index_find(const struct spool_index *index, const struct digest *digest,
                      unsigned *out_take);
/* Hand a spool that was found over to a flight. */
void spool_index_take(struct spool_index *index, const struct digest *digest);
/* The disk is full: remove the oldest, until so many bytes are given up. */
void spool_index_shrink(struct spool_index *index, uint64_t bytes);

#endif
