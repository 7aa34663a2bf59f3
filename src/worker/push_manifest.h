/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint that takes a manifest: PUT. */
#ifndef WORKER_PUSH_MANIFEST_H
#define WORKER_PUSH_MANIFEST_H

struct ledger_txn;
struct request;

void push_manifest(struct request *request, struct ledger_txn *txn);

#endif
