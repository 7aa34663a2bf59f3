/* SPDX-License-Identifier: Apache-2.0 */
/* If-Match and If-None-Match (RFC 9110 13.1): the entity tag of everything is its digest. */
#ifndef WORKER_CONDITION_H
#define WORKER_CONDITION_H

#include <stdbool.h>

struct digest;
struct ledger_txn;
struct request;

/* There is one. */
bool condition_is_set(const struct request *request);
/* If-None-Match names it: a GET of it is 304. */
bool condition_has_it(const struct request *request, const struct digest *digest);
/* If-Match allows reading it; else 412 was answered. */
bool condition_may_read(struct request *request, const struct digest *digest);
/* What the request's tag names, or its digest when the repository has it. False: nothing. */
bool condition_find_current(const struct request *request, struct ledger_txn *txn,
                            struct digest *out);
/* Both allow changing what is there now (NULL: nothing is); else 412 was answered. */
bool condition_may_write(struct request *request, const struct digest *current);
/* 412. */
void condition_fail(struct request *request);

#endif
