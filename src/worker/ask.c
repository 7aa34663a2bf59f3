/* SPDX-License-Identifier: Apache-2.0 */
/* One struct ask per question under way, found by its whole text; it goes with its answer, or with
 * the last who waits for it. */
#include "ask.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/map.h"
#include "fetch_link.h"
#include "worker_state.h"

#define KEY_MAX (LIST_QUERY_MAX + 1024)

struct ask {
    struct ask_table *table;
    struct fetch_ask fetch;
    struct list waiters;
    bool is_kept;   /* goes on when nobody waits */
    struct buf key; /* what the slices of the message point into */
};

struct ask_table {
    struct worker *worker;
    struct map *asks;
};

struct ask_table *ask_table_new(struct worker *worker)
{
    struct ask_table *table = NEW(struct ask_table);
    table->worker = worker;
    table->asks = map_new();
    return table;
}

static void free_ask(struct ask *ask)
{
    buf_cleanup(&ask->key);
    mem_free(ask);
}

static void detach(struct ask_waiter *waiter)
{
    list_remove(&waiter->link);
    waiter->ask = NULL;
}

static void forget(struct slice key, void *value, void *arg)
{
    (void)key;
    struct ask *ask = value;
    struct ask_table *table = arg;
    fetch_link_drop(table->worker->fetcher, &ask->fetch);
    while (!list_is_empty(&ask->waiters))
        detach(LIST_ITEM(ask->waiters.next, struct ask_waiter, link));
    free_ask(ask);
}

void ask_table_free(struct ask_table **table)
{
    if (!*table)
        return;
    map_each((*table)->asks, forget, *table);
    map_free(&(*table)->asks);
    mem_free(TAKE(*table));
}

void ask_keep(struct ask_waiter *waiter)
{
    if (waiter->ask)
        waiter->ask->is_kept = true;
}

void ask_leave(struct ask_waiter *waiter)
{
    struct ask *ask = waiter->ask;
    if (!ask)
        return;
    detach(waiter);
    /* One that is being answered ends there. */
    if (ask->is_kept || !ask->fetch.is_open || !list_is_empty(&ask->waiters))
        return;
    map_remove(ask->table->asks, buf_bytes(&ask->key));
    fetch_link_drop(ask->table->worker->fetcher, &ask->fetch);
    free_ask(ask);
}

static void on_message(struct fetch_ask *fetch, enum message_type type, const void *message,
                       int *fd)
{
    fd_close(fd); /* none of these carries one */
    struct ask *ask = LIST_ITEM(fetch, struct ask, fetch);
    if (type != MESSAGE_ANSWER && type != MESSAGE_HERE && type != MESSAGE_FAILED)
        return;
    map_remove(ask->table->asks, buf_bytes(&ask->key));
    while (!list_is_empty(&ask->waiters)) {
        struct ask_waiter *waiter = LIST_ITEM(ask->waiters.next, struct ask_waiter, link);
        detach(waiter);
        waiter->on_answer(waiter, type, message);
    }
    free_ask(ask);
}

static struct slice part(const struct buf *key, size_t offset, size_t length)
{
    return slice_from(buf_bytes(key).data + offset, length);
}

/* kind, is_check, then the texts with NUL between them, then the digest. */
static void fill(struct ask *ask, const struct ask_question *question)
{
    struct buf *key = &ask->key;
    struct message_join *join = &ask->fetch.join;
    uint8_t binary[DIGEST_BINARY_MAX];
    buf_append_byte(key, (char)question->kind);
    buf_append_byte(key, (char)question->is_check);
    size_t origin = buf_bytes(key).length;
    buf_append_slice(key, question->origin);
    buf_append_byte(key, '\0');
    size_t repository = buf_bytes(key).length;
    buf_append_slice(key, question->repository);
    buf_append_byte(key, '\0');
    size_t reference = buf_bytes(key).length;
    buf_append_slice(key, question->reference);
    buf_append_byte(key, '\0');
    if (question->digest.algorithm != 0)
        buf_append(key, binary, digest_encode(&question->digest, binary));
    CHECK(!key->is_over);
    join->kind = question->kind;
    join->origin = part(key, origin, question->origin.length);
    join->repository = part(key, repository, question->repository.length);
    join->reference = part(key, reference, question->reference.length);
    join->digest = question->digest;
    join->size = UINT64_MAX;
    join->is_check = question->is_check;
}

static struct ask *start(struct ask_table *table, struct ask *ask)
{
    ask->table = table;
    ask->fetch.on_message = on_message;
    ask->is_kept = ask->fetch.join.kind == JOIN_TAG && ask->fetch.join.is_check;
    list_init(&ask->waiters);
    map_set(table->asks, buf_bytes(&ask->key), ask);
    fetch_link_ask(table->worker->fetcher, &ask->fetch);
    return ask;
}

bool ask_wait(struct ask_table *table, const struct ask_question *question,
              struct ask_waiter *waiter, bool *out_is_joined)
{
    struct ask *ask = NEW(struct ask);
    buf_init(&ask->key, KEY_MAX);
    fill(ask, question);
    struct ask *running = map_find(table->asks, buf_bytes(&ask->key));
    if (!running && fetch_link_is_full(table->worker->fetcher)) {
        free_ask(ask);
        return false;
    }
    *out_is_joined = running != NULL;
    if (running) {
        free_ask(ask);
    } else {
        running = start(table, ask);
    }
    list_init(&waiter->link);
    list_append(&running->waiters, &waiter->link);
    waiter->ask = running;
    return true;
}
