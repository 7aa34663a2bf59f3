/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list that came from an upstream, read in the pool: clients are given names of the right form
 * alone, whatever the upstream wrote.
 */
#ifndef LISTING_H
#define LISTING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/pool.h"
#include "ipc/message.h"

struct fetcher;

struct listing {
    struct fetcher *fetcher;
    struct pool_work work;
    bool is_busy;
    bool is_dropped;
    enum join_kind kind; /* JOIN_TAGS_LIST or JOIN_REFERRERS */
    char *repository;    /* the name in the answer */
    char *asked;         /* the query */
    char *link;          /* query of the next page, or "" */
    struct buf body;     /* the upstream's, then ours */
    uint64_t checked_ms;
    int payload_fd; /* the ANSWER, when it is large; -1 */
    struct error err;
    /* err is NULL when all went well. The listing lives until it is dropped. */
    void (*done)(struct listing *listing, const struct error *err, void *arg);
    void *arg;
};

/* Takes the body over and leaves it empty; copies the rest. */
struct listing *listing_new(struct fetcher *fetcher, enum join_kind kind, const char *repository,
                            struct buf *body);
/* ERR_UPSTREAM when it is no such list. */
void listing_read(struct listing *listing,
                  void (*done)(struct listing *, const struct error *, void *), void *arg);
/* The ANSWER; borrowed from the listing. */
void listing_answer(const struct listing *listing, struct message_answer *out);
/* Frees it, once the pool is done with it; `done` does not come any more. */
void listing_drop(struct listing **listing);

#endif
