/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this worker asks of the fetcher. A question stays open until it is answered for good or
 * dropped; when the fetcher dies, all open ones are asked again on the new channel under their old
 * numbers.
 */
#ifndef WORKER_FETCH_LINK_H
#define WORKER_FETCH_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "ipc/message.h"

struct fetch_ask;
struct fetch_link;
struct loop;

/* `message` is the struct of that type, alive until this returns. HERE, ANSWER and FAILED are the
 * last: the question is closed before they are told. Take the descriptor with fd_take. */
typedef void fetch_ask_fn(struct fetch_ask *ask, enum message_type type, const void *message,
                          int *fd);
typedef void fetch_lost_fn(struct fetch_ask *ask);

struct fetch_ask {            /* embedded in its owner, zeroed before */
    struct message_join join; /* its slices live until the question is closed */
    fetch_ask_fn *on_message;
    fetch_lost_fn *on_lost; /* the fetcher died, the next is asked; NULL: no matter */
    bool is_open;
    bool is_settled; /* by fetch_link_settle */
    struct list link;
};

/* At most `maximum` questions that are not settled. What is open stays when it becomes smaller. */
struct fetch_link *fetch_link_new(struct loop *loop, uint64_t maximum);
void fetch_link_set_maximum(struct fetch_link *link, uint64_t maximum);
void fetch_link_free(struct fetch_link **link);
void fetch_link_set_channel(struct fetch_link *link, int *fd);
bool fetch_link_is_up(const struct fetch_link *link);
/* One more would be too many: to be looked at before every fetch_link_ask. */
bool fetch_link_is_full(const struct fetch_link *link);
/* What is said of such a one. */
struct message_failed fetch_link_full(void);
/* Fills join.request. */
void fetch_link_ask(struct fetch_link *link, struct fetch_ask *ask);
/* Everything is known: it stays open for its LEAVE, but is not asked again. */
void fetch_link_settle(struct fetch_link *link, struct fetch_ask *ask);
/* Close it: nothing more is told. Says LEAVE to the fetcher. */
void fetch_link_drop(struct fetch_link *link, struct fetch_ask *ask);

#endif
