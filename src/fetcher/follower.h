/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for an answer: one request of one worker's channel. It belongs to a flight or to an ask
 * (its list), and is known to its worker by its number. */
#ifndef FOLLOWER_H
#define FOLLOWER_H

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

/* The channel to one incarnation of a worker. A slot has several while an older one drains. */
struct worker_link {
    struct list link; /* of the fetcher */
    struct fetcher *fetcher;
    unsigned slot;
    uint64_t id; /* of the process */
    struct channel *channel;
    struct map *followers; /* request number → struct follower */
};

struct follower {
    struct list link; /* of what it follows */
    struct worker_link *worker;
    uint64_t request;
    /* The worker went away, or wants no more: free it, after taking it out of what it follows. */
    void (*on_leave)(struct follower *follower);
    void *owner; /* the flight or ask */
    /* Flights only: */
    struct source *source;
    bool is_open; /* OPEN was sent: it knows the spool */
};

/* NULL when the number is in use: a worker that is wrong about itself. */
struct follower *follower_new(struct worker_link *worker, uint64_t request);
void follower_free(struct follower **follower);
void follower_send(struct follower *follower, enum message_type type, const void *message, int fd);
/* In the pool: the memory file of a large ANSWER, once for all who wait. -1: it is small, or there
 * is no memory for it now; it goes as any message then. */
int follower_payload_new(const struct message_answer *answer);
/* The last word; the follower is freed. `request` is filled in; with a payload (not -1) that is
 * what is sent. */
void follower_answer(struct follower **follower, struct message_answer *answer, int payload_fd);
/* The last word; the follower is freed. */
void follower_fail(struct follower **follower, const struct error *err, uint64_t retry_after);
void follower_here(struct follower **follower);

/* Joins the fetcher's list; the handler's arg is the link. */
struct worker_link *worker_link_new(struct fetcher *fetcher, unsigned slot,
                                    const struct channel_handler *handler, int *fd);
/* Its followers leave. */
void worker_link_free(struct worker_link **worker);
/* A request that was refused before it became a follower. */
void worker_link_refuse(struct worker_link *worker, uint64_t request, const struct error *err);
void worker_link_leave(struct worker_link *worker, uint64_t request);

#endif
