/* SPDX-License-Identifier: Apache-2.0 */
/* A request that waits for a list from the upstream, at most the deadline of every pull. */
#ifndef WORKER_LIST_WAIT_H
#define WORKER_LIST_WAIT_H

#include "base/slice.h"
#include "ipc/message.h"

struct request;

/* Answers the request. type is MESSAGE_ANSWER, MESSAGE_HERE or MESSAGE_FAILED; a deadline that is
 * over comes as FAILED. */
typedef void list_answer_fn(struct request *request, enum message_type type, const void *message);

/* `query` is copied. */
void list_wait(struct request *request, enum join_kind kind, struct slice query,
               list_answer_fn *on_answer);

#endif
