/* SPDX-License-Identifier: Apache-2.0 */
/* If-Match and If-None-Match (RFC 9110 13.1). The entity tag of content is its digest. */
#ifndef WORKER_CONDITION_H
#define WORKER_CONDITION_H

#include <stdbool.h>

struct digest;
struct ledger_txn;
struct request;

/* The request has one of the two. */
bool condition_is_set(const struct request *request);
/* If-None-Match names the digest: the client has it, and GET is answered 304. */
bool condition_has_it(const struct request *request, const struct digest *digest);
/* If-Match allows reading it; otherwise 412 was answered. */
bool condition_may_read(struct request *request, const struct digest *digest);
/* The digest that the request's tag names, or the request's own when the repository links it.
 * Returns false when there is none. */
bool condition_find_current(const struct request *request, struct ledger_txn *txn,
                            struct digest *out);
/* Both allow replacing `current` (NULL: nothing is there); otherwise 412 was answered. */
bool condition_may_write(struct request *request, const struct digest *current);
/* Answers 412. */
void condition_fail(struct request *request);

#endif
