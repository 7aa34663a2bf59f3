/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is told when the fetcher could not bring what was asked. */
#ifndef WORKER_FETCH_ERROR_H
#define WORKER_FETCH_ERROR_H

#include <stdbool.h>

#include "oci/api_error.h"

struct message_failed;
struct request;

/* The upstream's own no, not its failure. */
bool fetch_error_is_believed(const struct message_failed *failed);
/* `not_found` is the code of what the upstream does not have. */
void fetch_error_answer(struct request *request, const struct message_failed *failed,
                        enum api_code not_found);

#endif
