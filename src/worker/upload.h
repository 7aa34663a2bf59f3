/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints of upload sessions: POST begins a session, PATCH and PUT send bytes, GET asks how
 * far it is, DELETE ends it. */
#ifndef WORKER_UPLOAD_H
#define WORKER_UPLOAD_H

struct ledger_txn;
struct request;

void upload_start(struct request *request, struct ledger_txn *txn);
/* GET, PATCH, PUT and DELETE. */
void upload_continue(struct request *request, struct ledger_txn *txn);

#endif
