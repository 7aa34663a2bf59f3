/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to clients whose content the fetcher could not get. */
#ifndef WORKER_FETCH_ERROR_H
#define WORKER_FETCH_ERROR_H

#include <stdbool.h>

#include "oci/api_error.h"

struct message_failed;
struct request;

/* The upstream itself has said no (not found, denied); false: it failed, cannot be reached, or
 * refuses our login. */
bool fetch_error_is_believed(const struct message_failed *failed);
/* Answers the request. `not_found`: the code for content that the upstream does not have. */
void fetch_error_answer(struct request *request, const struct message_failed *failed,
                        enum api_code not_found);

#endif
