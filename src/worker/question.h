/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the fetcher that have one answer: a tag, a manifest, a size, a list. All clients of
 * this worker that ask the same share one question. It is withdrawn when the last of them leaves,
 * unless it is kept: the check of a tag that is already here goes on after the client was served
 * from disk, and so does a question to a slow upstream, because a client that got 504 asks again.
 */
#ifndef WORKER_QUESTION_H
#define WORKER_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "ipc/message.h"

struct question;
struct question_table;
struct question_waiter;
struct worker;

/* The end of the wait; called once. type is MESSAGE_ANSWER, MESSAGE_HERE or MESSAGE_FAILED, and
 * `message` is the struct of that type, alive until this returns. */
typedef void question_fn(struct question_waiter *waiter, enum message_type type,
                         const void *message);

struct question_waiter { /* embedded in its owner */
    struct list link;
    struct question *question; /* NULL: it waits for nothing */
    question_fn *on_answer;
};

/* What a question is about: two of the same subject are one question. */
struct question_subject {
    enum join_kind kind;
    struct slice origin;
    struct slice repository;
    struct slice reference;
    struct digest digest;
    bool is_check;
};

struct question_table *question_table_new(struct worker *worker);
/* Waiters that are left are detached, not called. */
void question_table_free(struct question_table **table);
/* The subject is copied. Returns false when this would be a new question and too many are open.
 * `out_is_joined`: the question of another client was joined. */
bool question_wait(struct question_table *table, const struct question_subject *subject,
                   struct question_waiter *waiter, bool *out_is_joined);
/* Let the waiter's question go on even when no waiter is left. */
void question_keep(struct question_waiter *waiter);
/* Stop waiting; safe when it waits for nothing. */
void question_leave(struct question_waiter *waiter);

#endif
