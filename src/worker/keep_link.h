/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this worker asks of the keeper. At most 256 are with it at a time, the rest waits here; when
 * the keeper dies, those without an answer are sent again on the new channel, marked as repeated
 * and with the commit number first seen. Every question is answered exactly once: by ERR_BUSY when
 * no keeper is there, or the last one has died, and it was asked 30 s ago; at the worker's end by
 * ERR_CANCELLED.
 */
#ifndef WORKER_KEEP_LINK_H
#define WORKER_KEEP_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "ipc/message.h"
#include "request.h"

struct keep_ask;
struct keep_link;
struct worker;

struct keep_answer {
    bool is_done;
    uint64_t commit;      /* is_done */
    enum error_kind kind; /* otherwise */
    struct slice text;    /* alive until the callback returns */
    struct slice digests; /* MANIFEST_PUT: those that are not here */
};

typedef void keep_ask_fn(struct keep_ask *ask, const struct keep_answer *answer);

struct keep_common { /* how every request to the keeper begins */
    uint8_t message_reserved;
    uint64_t request;
    uint64_t seen;
    uint64_t repeated;
    struct slice actor;
};

struct keep_ask { /* embedded in its owner, which lives until the answer */
    enum message_type type;
    union {
        struct keep_common common;
        struct message_blob_stored blob_stored;
        struct message_link link;
        struct message_push_begun push_begun;
        struct message_manifest_put manifest_put;
        struct message_remove remove;
    } message; /* slices live until the answer */
    char actor[REQUEST_ACTOR_SIZE];
    keep_ask_fn *on_answer;
    /* keep_link's: */
    struct list link;
    uint64_t asked_ms;
};

struct keep_link *keep_link_new(struct worker *worker);
void keep_link_free(struct keep_link **link);
void keep_link_set_channel(struct keep_link *link, int *fd);
bool keep_link_is_up(const struct keep_link *link);
/* Type, message, actor and on_answer are set; the rest is filled here. */
void keep_link_ask(struct keep_link *link, struct keep_ask *ask);
unsigned keep_link_waiting(const struct keep_link *link);
/* Answer everything with ERR_CANCELLED. */
void keep_link_cancel(struct keep_link *link);
/* Not answered, and lost when there is no keeper. */
void keep_link_used(struct keep_link *link, const struct message_used *used);
/* 503 and the like for an answer that is not done. */
void keep_answer_error(const struct keep_answer *answer, struct error *err);

#endif
