/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of the server as a whole: the base of the API, and OPTIONS. */
#ifndef WORKER_SERVER_H
#define WORKER_SERVER_H

struct ledger_txn;
struct request;

/* GET /v2/: this is a registry (distribution-spec, "Determining Support"). */
void server_answer_base(struct request *request, struct ledger_txn *txn);
/* OPTIONS * (RFC 9110 9.3.7): the methods of all endpoints of this listener. */
void server_answer_options(struct request *request, struct ledger_txn *txn);

#endif
