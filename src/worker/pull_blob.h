/* SPDX-License-Identifier: Apache-2.0 */
/* GET and HEAD of a blob. */
#ifndef WORKER_PULL_BLOB_H
#define WORKER_PULL_BLOB_H

struct ledger_txn;
struct request;

/* An endpoint's handler. */
void pull_blob(struct request *request, struct ledger_txn *txn);
/* Look once more: the fetcher says that the blob is here. Answers the request. */
void pull_blob_again(struct request *request);

#endif
