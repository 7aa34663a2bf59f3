/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A received list is a list of tags or referrers from an upstream. It is parsed in the pool, and
 * clients get valid entries only, whatever the upstream wrote.
 */
#ifndef FETCHER_RECEIVED_LIST_H
#define FETCHER_RECEIVED_LIST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/pool.h"
#include "ipc/message.h"

struct fetcher;

struct received_list {
    struct fetcher *fetcher;
    struct pool_work work;
    bool is_busy;
    bool is_dropped;
    enum join_kind kind; /* JOIN_TAGS_LIST or JOIN_REFERRERS */
    char *repository;    /* the name that the answer says */
    char *asked;         /* the query that was asked with */
    char *link;          /* query of the next page, or "" */
    struct buf body;     /* the upstream's document, then ours */
    uint64_t checked_ms;
    int payload_fd; /* memory file of a large ANSWER; -1: none */
    struct error err;
    /* On the loop; err is NULL on success. The list lives until it is dropped. */
    void (*done)(struct received_list *list, const struct error *err, void *arg);
    void *arg;
};

/* Takes the body over and leaves it empty; copies the rest. */
struct received_list *received_list_new(struct fetcher *fetcher, enum join_kind kind,
                                        const char *repository, struct buf *body);
/* Parse it in the pool. `done` gets ERR_UPSTREAM when it is not such a list. */
void received_list_read(struct received_list *list,
                        void (*done)(struct received_list *, const struct error *, void *),
                        void *arg);
/* Fill in the ANSWER, whose slices borrow from the list. */
void received_list_answer(const struct received_list *list, struct message_answer *out);
/* Free it, when the pool has finished with it; `done` is not called any more. */
void received_list_drop(struct received_list **list);

#endif
