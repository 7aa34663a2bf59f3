/* SPDX-License-Identifier: Apache-2.0 */
/* One struct question for each that is open, found by its whole subject. It is freed with its
 * answer, or when its last waiter leaves. */
#include "question.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/map.h"
#include "fetcher_client.h"
#include "worker_state.h"

#define KEY_MAX (LIST_QUERY_MAX + 1024)

struct question {
    struct question_table *table;
    struct fetcher_call call;
    struct list waiters;
    bool is_kept;   /* goes on when no waiter is left */
    struct buf key; /* what the slices of the message point into */
};

struct question_table {
    struct worker *worker;
    struct map *questions;
};

struct question_table *question_table_new(struct worker *worker)
{
    struct question_table *table = NEW(struct question_table);

    table->worker = worker;
    table->questions = map_new();
    return table;
}

static void question_free(struct question *question)
{
    buf_cleanup(&question->key);
    mem_free(question);
}

static void detach_waiter(struct question_waiter *waiter)
{
    list_remove(&waiter->link);
    waiter->question = NULL;
}

static void forget_question(struct slice key, void *value, void *arg)
{
    (void)key;
    struct question *question = value;
    struct question_table *table = arg;
    fetcher_client_drop(table->worker->fetcher, &question->call);
    while (!list_is_empty(&question->waiters))
        detach_waiter(LIST_ITEM(question->waiters.next, struct question_waiter, link));
    question_free(question);
}

void question_table_free(struct question_table **table)
{
    if (!*table)
        return;
    map_each((*table)->questions, forget_question, *table);
    map_free(&(*table)->questions);
    mem_free(TAKE(*table));
}

void question_keep(struct question_waiter *waiter)
{
    if (waiter->question)
        waiter->question->is_kept = true;
}

void question_leave(struct question_waiter *waiter)
{
    struct question *question = waiter->question;

    if (!question)
        return;
    detach_waiter(waiter);
    /* One that is being answered ends there. */
    if (question->is_kept || !question->call.is_open || !list_is_empty(&question->waiters))
        return;
    map_remove(question->table->questions, buf_bytes(&question->key));
    fetcher_client_drop(question->table->worker->fetcher, &question->call);
    question_free(question);
}

static void on_question_message(struct fetcher_call *call, enum message_type type,
                                const void *message, int *fd)
{
    fd_close(fd); /* none of these carries one */
    struct question *question = LIST_ITEM(call, struct question, call);
    if (type != MESSAGE_ANSWER && type != MESSAGE_HERE && type != MESSAGE_FAILED)
        return;
    map_remove(question->table->questions, buf_bytes(&question->key));
    while (!list_is_empty(&question->waiters)) {
        struct question_waiter *waiter =
            LIST_ITEM(question->waiters.next, struct question_waiter, link);

        detach_waiter(waiter);
        waiter->on_answer(waiter, type, message);
    }
    question_free(question);
}

static struct slice part(const struct buf *key, size_t offset, size_t length)
{
    return slice_from(buf_bytes(key).data + offset, length);
}

/* kind, is_check, then the texts with NUL between them, then the digest. */
static void question_fill(struct question *question, const struct question_subject *subject)
{
    struct buf *key = &question->key;
    struct message_join *join = &question->call.join;
    uint8_t binary[DIGEST_BINARY_MAX];

    buf_append_byte(key, (char)subject->kind);
    buf_append_byte(key, (char)subject->is_check);
    size_t origin = buf_bytes(key).length;
    buf_append_slice(key, subject->origin);
    buf_append_byte(key, '\0');
    size_t repository = buf_bytes(key).length;
    buf_append_slice(key, subject->repository);
    buf_append_byte(key, '\0');
    size_t reference = buf_bytes(key).length;
    buf_append_slice(key, subject->reference);
    buf_append_byte(key, '\0');
    if (subject->digest.algorithm != 0)
        buf_append(key, binary, digest_encode(&subject->digest, binary));
    CHECK(!key->is_over);
    join->kind = subject->kind;
    join->origin = part(key, origin, subject->origin.length);
    join->repository = part(key, repository, subject->repository.length);
    join->reference = part(key, reference, subject->reference.length);
    join->digest = subject->digest;
    join->size = UINT64_MAX;
    join->is_check = subject->is_check;
}

static struct question *question_start(struct question_table *table, struct question *question)
{
    question->table = table;
    question->call.on_message = on_question_message;
    question->is_kept = question->call.join.kind == JOIN_TAG && question->call.join.is_check;
    list_init(&question->waiters);
    map_set(table->questions, buf_bytes(&question->key), question);
    fetcher_client_ask(table->worker->fetcher, &question->call);
    return question;
}

bool question_wait(struct question_table *table, const struct question_subject *subject,
                   struct question_waiter *waiter, bool *out_is_joined)
{
    struct question *question = NEW(struct question);

    buf_init(&question->key, KEY_MAX);
    question_fill(question, subject);
    struct question *running = map_find(table->questions, buf_bytes(&question->key));
    if (!running && fetcher_client_is_full(table->worker->fetcher)) {
        question_free(question);
        return false;
    }
    *out_is_joined = running;
    if (running)
        question_free(question);
    else
        running = question_start(table, question);
    list_init(&waiter->link);
    list_append(&running->waiters, &waiter->link);
    waiter->question = running;
    return true;
}
