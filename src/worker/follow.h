/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of a flight: one JOIN per blob and repository, one descriptor of the spool,
 * many followers that are served from it while it grows.
 *
 *   asked → open → growing → verified → over      (HERE, FAILED: over before)
 *
 * A follower's head leaves when follow_may_begin allows it, its bytes up to follow_limit. A new
 * take (TAKEN) moves those who are within what both takes share and cuts the others. Without the
 * fetcher it waits for the next; whoever has his head by then is cut when none carries on in the
 * time that a living one may take.
 */
#ifndef WORKER_FOLLOW_H
#define WORKER_FOLLOW_H

#include <stdint.h>

struct follow_table;
struct request;
struct worker;

struct follow_table *follow_table_new(struct worker *worker);
/* No followers are left by then. */
void follow_table_free(struct follow_table **table);
/* Answer the request from a flight of its blob; `size` as a verified manifest gives it, or
 * UINT64_MAX. */
void follow_join(struct follow_table *table, struct request *request, uint64_t size);

#endif
