/* SPDX-License-Identifier: Apache-2.0 */
/* PUT of a manifest. */
#ifndef WORKER_PUSH_MANIFEST_H
#define WORKER_PUSH_MANIFEST_H

struct ledger_txn;
struct request;

void push_manifest(struct request *request, struct ledger_txn *txn);

#endif
