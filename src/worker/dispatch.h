/* SPDX-License-Identifier: Apache-2.0 */
/* From a request's head to the handler that answers it: operation → authenticate → resolve →
 * authorize → handler, the same for every request of the API. */
#ifndef WORKER_DISPATCH_H
#define WORKER_DISPATCH_H

struct request;

void dispatch(struct request *request);

#endif
