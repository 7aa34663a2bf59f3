/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of the referrers that are here, as an image index. Which they are is read from the ledger
 * and their annotations from their files, all in the pool.
 */
#ifndef WORKER_REFERRERS_PAGE_H
#define WORKER_REFERRERS_PAGE_H

#include <stdbool.h>

struct message_failed;
struct request;

/* last= of the query, if there is one, is a digest. */
bool referrers_page_is_valid(const struct request *request);
/* Answers the request, later. `failed` (copied): the upstream could not be asked, and the page is
 * what is cached, marked as stale; an empty one is answered as that failure unless `may_be_empty`.
 * NULL: the page is the whole truth. */
void referrers_page_answer(struct request *request, const struct message_failed *failed,
                           bool may_be_empty);

#endif
