/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This worker's questions to the fetcher. A question stays open until its last message has come or
 * it is dropped. When the fetcher dies, all open questions are sent again on the next channel, with
 * their old numbers.
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
 * last ones: the question is closed before the call. Take the descriptor with fd_take; otherwise it
 * is closed. */
typedef void fetch_ask_fn(struct fetch_ask *ask, enum message_type type, const void *message,
                          int *fd);
/* The fetcher died; the question will be sent to the next one. Must not drop it. */
typedef void fetch_lost_fn(struct fetch_ask *ask);

struct fetch_ask {            /* embedded in its owner, zeroed before */
    struct message_join join; /* its slices live until the question is closed */
    fetch_ask_fn *on_message;
    fetch_lost_fn *on_lost; /* may be NULL */
    bool is_open;
    bool is_settled; /* fetch_link_settle was called */
    struct list link;
};

/* At most `maximum` questions that are not settled. Open ones stay open when it becomes smaller. */
struct fetch_link *fetch_link_new(struct loop *loop, uint64_t maximum);
void fetch_link_set_maximum(struct fetch_link *link, uint64_t maximum);
void fetch_link_free(struct fetch_link **link);
void fetch_link_set_channel(struct fetch_link *link, int *fd);
bool fetch_link_is_up(const struct fetch_link *link);
/* Call before every fetch_link_ask. True: one more question would be too many, and fails with the
 * error that fetch_link_full returns. */
bool fetch_link_is_full(const struct fetch_link *link);
struct message_failed fetch_link_full(void);
/* Sends the question, or keeps it until there is a fetcher. Fills join.request. */
void fetch_link_ask(struct fetch_link *link, struct fetch_ask *ask);
/* The owner knows everything it wants: the question is not sent again after a death, but stays open
 * so that fetch_link_drop says LEAVE. */
void fetch_link_settle(struct fetch_link *link, struct fetch_ask *ask);
/* Close the question and tell the fetcher (LEAVE). No callback comes after this. */
void fetch_link_drop(struct fetch_link *link, struct fetch_ask *ask);

#endif
