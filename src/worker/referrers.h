/* SPDX-License-Identifier: Apache-2.0 */
/* The referrers API: an index of what names a manifest as its subject. */
#ifndef WORKER_REFERRERS_H
#define WORKER_REFERRERS_H

struct ledger_txn;
struct request;

void list_referrers(struct request *request, struct ledger_txn *txn);

#endif
