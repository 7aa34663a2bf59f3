/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of a download that is going on in the fetcher (a flight). A follow is one JOIN
 * for one blob of one repository, with one descriptor of the spool; its clients are the requests
 * that are served from the spool while it grows.
 *
 *   follow:    ASKED → OPEN → VERIFIED → OVER
 *                └───────┴── HERE, FAILED ──↑
 *
 *   client:  WAITING → READY ⇄ SENDING → OVER
 *                 └── failed: an error ─────↑
 *
 * A client's head is sent when follow_may_begin allows it, and then the bytes up to follow_limit
 * (follow_limit.h). When the fetcher goes on with another spool (TAKEN), clients go on if what
 * was sent to them is the same in both, and are cut otherwise.
 *
 * When the fetcher dies, the follow waits for the next one. Clients that got a part are cut if no
 * fetcher goes on within the time in which a living one would have.
 */
#ifndef WORKER_FOLLOW_H
#define WORKER_FOLLOW_H

#include <stdint.h>

struct follow_table;
struct request;
struct worker;

/* The fetcher says that the blob is stored: answers the request, which follows nothing any more. */
typedef void follow_here_fn(struct request *request);

struct follow_table *follow_table_new(struct worker *worker, follow_here_fn *answer_here);
/* All requests were ended before. */
void follow_table_free(struct follow_table **table);
/* Answers the request from a download of its blob, starting one when there is none. `size`: as a
 * verified manifest says, or UINT64_MAX. */
void follow_join(struct follow_table *table, struct request *request, uint64_t size);

#endif
