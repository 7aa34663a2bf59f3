/* SPDX-License-Identifier: Apache-2.0 */
/* What a request leaves behind: its counters in /metrics and its line in the access log. */
#ifndef WORKER_ACCESS_LOG_H
#define WORKER_ACCESS_LOG_H

#include "net/http_conn.h"

struct request;
struct worker;

/* The request is over; called once, before it is freed. */
void access_log_request(const struct request *request, enum http_end end);
/* The connection answered by itself: there was no request, or its body was refused. `peer` is the
 * client's printable address. */
void access_log_refused(const struct worker *worker, const struct http_refusal *refusal,
                        const char *peer);

#endif
