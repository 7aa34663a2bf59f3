/* SPDX-License-Identifier: Apache-2.0 */
/* The referrers API: an index of the manifests that name a digest as their subject. Read from the
 * ledger when the repository is hosted, asked of the upstream when it is cached. */
#ifndef WORKER_REFERRERS_H
#define WORKER_REFERRERS_H

struct ledger_txn;
struct request;

/* An endpoint's handler. */
void list_referrers(struct request *request, struct ledger_txn *txn);

#endif
