/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is told when the fetcher could not bring what was asked. */
#ifndef WORKER_FETCH_ERROR_H
#define WORKER_FETCH_ERROR_H

#include "oci/api_error.h"

struct message_failed;
struct request;

/* `not_found` is the code of what the upstream does not have. */
void fetch_error_answer(struct request *request, const struct message_failed *failed,
                        enum api_code not_found);

#endif
