/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A follower is one request on one worker's channel that waits for an answer. It is in the list of
 * a flight or of an ask, and its worker knows it by its number.
 */
#ifndef FETCHER_FOLLOWER_H
#define FETCHER_FOLLOWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "ipc/message.h"

struct channel;
struct channel_handler;
struct error;
struct fetcher;
struct follower;
struct map;
struct source;

/* The channel to one worker process. A slot has several while an older process drains. */
struct worker_link {
    struct list link; /* in fetcher->workers */
    struct fetcher *fetcher;
    unsigned slot;
    uint64_t id; /* of the process */
    struct channel *channel;
    struct map *followers; /* request number → struct follower */
};

struct follower {
    struct list link; /* of the flight or ask */
    struct worker_link *worker;
    uint64_t request;
    /* The worker is gone, or has sent LEAVE: frees the follower. */
    void (*on_leave)(struct follower *follower);
    void *owner; /* the flight or ask */
    /* Flights only: */
    struct source *source;
    bool is_open; /* OPEN was sent: the worker has the spool */
};

/* NULL when the worker has a follower of that number already, which is its mistake. */
struct follower *follower_new(struct worker_link *worker, uint64_t request);
void follower_free(struct follower **follower);
void follower_send(struct follower *follower, enum message_type type, const void *message, int fd);
/* Called in the pool: make the memory file of a large ANSWER, which all followers share. -1: the
 * answer is small, or there is no memory for it; then it is sent as an ordinary message. */
int follower_payload_new(const struct message_answer *answer);
/* Send the ANSWER and free the follower. answer->request is filled in; a payload (not -1) is sent
 * instead of the message. */
void follower_answer(struct follower **follower, struct message_answer *answer, int payload_fd);
/* Send FAILED, or HERE, and free the follower. `retry_after` is in seconds, 0: unknown. */
void follower_fail(struct follower **follower, const struct error *err, uint64_t retry_after);
void follower_here(struct follower **follower);

/* Takes the descriptor over and joins fetcher->workers; the handler's arg is the link. */
struct worker_link *worker_link_new(struct fetcher *fetcher, unsigned slot,
                                    const struct channel_handler *handler, int *fd);
/* Its followers leave. */
void worker_link_free(struct worker_link **worker);
/* Send FAILED for a request that was refused before it became a follower. */
void worker_link_refuse(struct worker_link *worker, uint64_t request, const struct error *err);
void worker_link_leave(struct worker_link *worker, uint64_t request);

#endif
