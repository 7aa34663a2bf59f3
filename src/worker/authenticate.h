/* SPDX-License-Identifier: Apache-2.0 */
/* The step between a request's head and its handler in which the worker's authenticator says who
 * makes the request. */
#ifndef WORKER_AUTHENTICATE_H
#define WORKER_AUTHENTICATE_H

struct request;

typedef void authenticated_fn(struct request *request);

/* Sets request->principal and calls `then`, from inside or later; or answers the request. */
void authenticate(struct request *request, authenticated_fn *then);

#endif
