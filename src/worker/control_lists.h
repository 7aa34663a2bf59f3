/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator reads: docs/admin-api.md. */
#ifndef WORKER_CONTROL_LISTS_H
#define WORKER_CONTROL_LISTS_H

struct ledger_txn;
struct request;

void control_status(struct request *request, struct ledger_txn *txn);
void control_repositories(struct request *request, struct ledger_txn *txn);
void control_images(struct request *request, struct ledger_txn *txn);
void control_usage(struct request *request, struct ledger_txn *txn);
void control_pins(struct request *request, struct ledger_txn *txn);

#endif
