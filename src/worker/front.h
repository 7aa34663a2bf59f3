/* SPDX-License-Identifier: Apache-2.0 */
/* The callbacks of every front's HTTP server: a head becomes a request, what comes afterwards goes
 * to the request's step. The server's arg is its struct front. */
#ifndef WORKER_FRONT_H
#define WORKER_FRONT_H

#include "net/http_conn.h"

extern const struct http_handler front_handler;

#endif
