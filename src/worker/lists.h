/* SPDX-License-Identifier: Apache-2.0 */
/* GET of tags/list and _catalog, in pages (distribution-spec, "Content Discovery"). */
#ifndef WORKER_LISTS_H
#define WORKER_LISTS_H

struct ledger_txn;
struct request;

/* Handlers of endpoints. */
void list_tags(struct request *request, struct ledger_txn *txn);
void list_catalog(struct request *request, struct ledger_txn *txn);

#endif
