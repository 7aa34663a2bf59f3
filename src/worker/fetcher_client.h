/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This worker's conversation with the fetcher, as ipc/keeper_client is the one with the keeper. A
 * call is one JOIN. It stays open until its last message has come or it is dropped. When the
 * fetcher dies, all open calls are sent again on the next channel, with their old numbers, or fail
 * when there is none to come.
 */
#ifndef WORKER_FETCHER_CLIENT_H
#define WORKER_FETCHER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "ipc/message.h"

struct fetcher_call;
struct fetcher_client;
struct loop;

/* `message` is the struct of that type, alive until this returns. HERE, ANSWER and FAILED are the
 * last ones: the call is closed before this is called. Take the descriptor with fd_take; otherwise
 * it is closed. */
typedef void fetcher_call_fn(struct fetcher_call *call, enum message_type type, const void *message,
                             int *fd);
/* The fetcher died; the call will be sent to the next one. This must not drop it. */
typedef void fetcher_lost_fn(struct fetcher_call *call);

struct fetcher_call {         /* embedded in its owner, zeroed before */
    struct message_join join; /* its slices live until the call is closed */
    fetcher_call_fn *on_message;
    fetcher_lost_fn *on_lost; /* may be NULL */
    bool is_open;
    bool is_settled; /* fetcher_client_settle was called */
    struct list link;
};

/* At most `maximum` calls that are not settled. Open ones stay open when it becomes smaller. */
struct fetcher_client *fetcher_client_new(struct loop *loop, uint64_t maximum);
void fetcher_client_set_maximum(struct fetcher_client *client, uint64_t maximum);
void fetcher_client_free(struct fetcher_client **client);
void fetcher_client_set_channel(struct fetcher_client *client, int *fd);
/* No other channel comes: this process has lost its master. Once there is none, every call that is
 * not settled gets FAILED. May call on_message. */
void fetcher_client_set_last(struct fetcher_client *client);
bool fetcher_client_is_up(const struct fetcher_client *client);
/* Call before every fetcher_client_ask. True: one more call would be too many, and fails with the
 * error that fetcher_client_full returns. */
bool fetcher_client_is_full(const struct fetcher_client *client);
struct message_failed fetcher_client_full(void);
/* Sends the call, or keeps it until there is a fetcher. Fills join.request. */
void fetcher_client_ask(struct fetcher_client *client, struct fetcher_call *call);
/* The owner knows everything it wants: the call is not sent again after a death, but stays open so
 * that fetcher_client_drop says LEAVE. */
void fetcher_client_settle(struct fetcher_client *client, struct fetcher_call *call);
/* Close the call and tell the fetcher (LEAVE). No callback comes after this. */
void fetcher_client_drop(struct fetcher_client *client, struct fetcher_call *call);

#endif
