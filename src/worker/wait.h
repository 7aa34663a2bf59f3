/* SPDX-License-Identifier: Apache-2.0 */
/* A request waits for one answer of the fetcher (a tag, a manifest, a size, a list), for a limited
 * time. */
#ifndef WORKER_WAIT_H
#define WORKER_WAIT_H

#include <stdint.h>

#include "ipc/message.h"

struct question_subject;
struct request;

/* Answers the request, or waits again. type is MESSAGE_ANSWER, MESSAGE_HERE or MESSAGE_FAILED, and
 * `message` is the struct of that type, alive until this returns. A wait that took too long ends
 * with FAILED, and so does a question that is one too many. */
typedef void wait_answer_fn(struct request *request, enum message_type type, const void *message);

/* Asks, and sets the request's step until `on_answer` is called, never from inside. What the
 * subject points to is copied. */
void wait_for_answer(struct request *request, const struct question_subject *subject,
                     uint64_t within_ms, wait_answer_fn *on_answer);

#endif
