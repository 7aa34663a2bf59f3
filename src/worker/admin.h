/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's listener: /healthz, /readyz, /metrics. */
#ifndef WORKER_ADMIN_H
#define WORKER_ADMIN_H

struct request;

void admin_answer(struct request *request);

#endif
