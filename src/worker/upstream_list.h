/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of an upstream's repository: the upstream is asked the way the client asked, and its next
 * page gets an address of ours. */
#ifndef WORKER_UPSTREAM_LIST_H
#define WORKER_UPSTREAM_LIST_H

#include "base/slice.h"
#include "ipc/message.h"
#include "wait.h"

struct headers;
struct request;

/* `kind` is JOIN_TAGS_LIST or JOIN_REFERRERS. The upstream gets n, last and all parameters that are
 * not of the API: they may be its own. `on_answer` as in wait_for_answer; a query that is too long
 * is answered here. */
void upstream_list_ask(struct request *request, enum join_kind kind, wait_answer_fn *on_answer);
/* Adds a Link when the upstream has another page; `next` is the query that it named. */
void upstream_list_add_link(const struct request *request, struct slice next,
                            struct headers *headers);

#endif
