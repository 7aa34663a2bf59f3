/* SPDX-License-Identifier: Apache-2.0 */
/* From a request's head to the handler of its endpoint: endpoint → authenticate → resolve →
 * authorize → handler. */
#ifndef WORKER_DISPATCH_H
#define WORKER_DISPATCH_H

struct request;

/* Answers the request, or gives it a step that will. */
void dispatch(struct request *request);

#endif
