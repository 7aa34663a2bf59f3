/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator changes: docs/admin-api.md. */
#ifndef WORKER_CONTROL_ORDERS_H
#define WORKER_CONTROL_ORDERS_H

struct ledger_txn;
struct request;

void control_remove(struct request *request, struct ledger_txn *txn);
void control_collect(struct request *request, struct ledger_txn *txn);
void control_add_pins(struct request *request, struct ledger_txn *txn);
void control_replace_pins(struct request *request, struct ledger_txn *txn);

#endif
