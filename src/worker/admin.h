/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of the admin listener: they are made again for every request, and never cached. */
#ifndef WORKER_ADMIN_H
#define WORKER_ADMIN_H

/* Six heartbeats of child.c. */
#define HEARTBEAT_LATE_MS 1500

struct ledger_txn;
struct request;

/* GET /healthz: this process runs its loop. */
void admin_answer_health(struct request *request, struct ledger_txn *txn);
/* GET /readyz: 200 while keeper and fetcher are up, else 503. The text says that the disk is full;
 * with ?pushes that is 503 as well. */
void admin_answer_ready(struct request *request, struct ledger_txn *txn);
/* GET /metrics, in Prometheus' text format. */
void admin_answer_metrics(struct request *request, struct ledger_txn *txn);

#endif
