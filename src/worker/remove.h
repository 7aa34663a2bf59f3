/* SPDX-License-Identifier: Apache-2.0 */
/* DELETE of tags, manifests and blobs; the keeper decides. */
#ifndef WORKER_REMOVE_H
#define WORKER_REMOVE_H

struct ledger_txn;
struct request;

/* Handlers of endpoints. By digest a manifest goes with all of its tags, by tag the tag alone. */
void remove_manifest(struct request *request, struct ledger_txn *txn);
void remove_blob(struct request *request, struct ledger_txn *txn);

#endif
