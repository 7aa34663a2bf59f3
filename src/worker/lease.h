/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told by a HEAD that a hosted blob is here may leave it out of a push, and rely on it for
 * `storage.grace`. What nothing has needed for that long may be collected after it has been needed
 * by nobody for as long again: before the answer, the keeper gives it its time again. */
#ifndef WORKER_LEASE_H
#define WORKER_LEASE_H

#include <stdbool.h>

struct blob_record;
struct ledger_txn;
struct request;

/* True: the blob may be told of. False: the request waits for the keeper; then its handler is
 * called again, or it is answered (404: the blob was collected meanwhile). */
bool lease_hold(struct request *request, struct ledger_txn *txn, const struct blob_record *record);

#endif
