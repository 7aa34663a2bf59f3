/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that goes back to the system after a burst: when nothing has been brought for a second,
 * the pool gives back what is free between the pieces that are in use, and the blocks that are kept
 * for the next download go back as well.
 */
#ifndef TRIM_H
#define TRIM_H

struct fetcher;
struct trim;

struct trim *trim_new(struct fetcher *fetcher);
/* Before it is freed nothing of it may be left in the pool. */
void trim_free(struct trim **trim);
/* The last flight or ask has ended. */
void trim_soon(struct trim *trim);

#endif
