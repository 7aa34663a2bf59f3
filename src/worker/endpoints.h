/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all endpoints. It is above every handler; what searches it is endpoint.h. */
#ifndef WORKER_ENDPOINTS_H
#define WORKER_ENDPOINTS_H

#include "endpoint.h"

struct worker_options;

/* The program's own, and those that a test adds. */
struct endpoint_set endpoints_all(const struct worker_options *options);

#endif
