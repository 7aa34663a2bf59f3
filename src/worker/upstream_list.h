/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of an upstream's repository: asked for the way the client asked, and its next page by our
 * own address. */
#ifndef WORKER_UPSTREAM_LIST_H
#define WORKER_UPSTREAM_LIST_H

#include "base/slice.h"
#include "ipc/message.h"
#include "wait.h"

struct headers;
struct request;

/* JOIN_TAGS_LIST or JOIN_REFERRERS, with n, last, and what else of the query may be the upstream's.
 * `on_answer` as in wait_for_answer; a query that is too long is answered here. */
void upstream_list_ask(struct request *request, enum join_kind kind, wait_answer_fn *on_answer);
/* Link, when the upstream has another page; `next` is the query it named. */
void upstream_list_add_link(const struct request *request, struct slice next,
                            struct headers *headers);

#endif
