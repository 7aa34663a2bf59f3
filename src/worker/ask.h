/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the fetcher that have one answer (a tag, a manifest, a size, a list), shared by all
 * clients of this worker who ask the same. It is withdrawn when the last of them leaves, unless it
 * is kept: the check of a tag that is here goes on behind the client who did not wait, and so does
 * what an upstream is too slow for, as who was told so asks again.
 */
#ifndef WORKER_ASK_H
#define WORKER_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "ipc/message.h"

struct ask;
struct ask_table;
struct ask_waiter;
struct worker;

/* The end of the wait, once: type is MESSAGE_ANSWER, MESSAGE_HERE or MESSAGE_FAILED. */
typedef void ask_fn(struct ask_waiter *waiter, enum message_type type, const void *message);

struct ask_waiter { /* embedded in its owner */
    struct list link;
    struct ask *ask; /* NULL: waits for nothing */
    ask_fn *on_answer;
};

struct ask_question {
    enum join_kind kind;
    struct slice origin;
    struct slice repository;
    struct slice reference;
    struct digest digest;
    bool is_check;
};

struct ask_table *ask_table_new(struct worker *worker);
void ask_table_free(struct ask_table **table);
/* Everything is copied. False: it is a new question, and too many are open. `out_is_joined`:
 * somebody else's was joined. */
bool ask_wait(struct ask_table *table, const struct ask_question *question,
              struct ask_waiter *waiter, bool *out_is_joined);
/* What it waits for goes on without anybody. */
void ask_keep(struct ask_waiter *waiter);
/* Wait no more. */
void ask_leave(struct ask_waiter *waiter);

#endif
