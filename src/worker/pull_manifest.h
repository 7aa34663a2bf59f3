/* SPDX-License-Identifier: Apache-2.0 */
/* GET and HEAD of a manifest, by tag or digest. */
#ifndef WORKER_PULL_MANIFEST_H
#define WORKER_PULL_MANIFEST_H

struct ledger_txn;
struct request;

/* An endpoint's handler. */
void pull_manifest(struct request *request, struct ledger_txn *txn);

#endif
