/* SPDX-License-Identifier: Apache-2.0 */
/* Upload sessions as clients see them: POST starts one, PATCH and PUT send, GET asks, DELETE ends.
 */
#ifndef WORKER_UPLOAD_H
#define WORKER_UPLOAD_H

struct ledger_txn;
struct request;
struct upload;

void upload_start(struct request *request, struct ledger_txn *txn);
/* GET, PATCH, PUT and DELETE of a session. */
void upload_continue(struct request *request, struct ledger_txn *txn);
/* The body of this session's request is written (a PUT's compared and synced), or upload->err says
 * why not. Comes once, or again after an error for what was already under way. */
void upload_on_received(struct upload *upload);
/* The same, but upload->err ends the session. */
void upload_on_lost(struct upload *upload);

#endif
