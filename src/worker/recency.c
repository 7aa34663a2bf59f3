/* SPDX-License-Identifier: Apache-2.0 */
/* One entry for each digest that was used lately; when there are too many, the oldest is dropped.
 */
#include "recency.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "ipc/keeper_client.h"
#include "net/loop.h"
#include "oci/digest.h"
#include "worker_state.h"

#define FRESH_MS    60000
#define BATCH_MS    10000
#define URGENT_MS   100
#define ENTRIES_MAX 16384
#define BATCH_BYTES ((size_t)48 * 1024)

struct recency_entry {
    struct list link; /* in the order of the first use */
    uint64_t used_ms;
    bool is_dirty;
    struct digest digest;
};

struct recency {
    struct worker *worker;
    struct map *entries; /* binary digest → entry */
    struct list order;
    struct timer *batch_timer;
    struct buf urgent;
    struct timer *urgent_timer;
};

static void send_uses(struct recency *recency, struct buf *digests)
{
    struct message_used used = {.digests = buf_bytes(digests), .when = clock_wall().ms};

    if (used.digests.length > 0)
        keeper_client_mention(recency->worker->keeper, MESSAGE_USED, &used);
    buf_clear(digests);
}

static void append(struct recency *recency, struct buf *out, const struct digest *digest)
{
    uint8_t binary[DIGEST_BINARY_MAX];

    if (buf_bytes(out).length + DIGEST_BINARY_MAX > BATCH_BYTES)
        send_uses(recency, out);
    buf_append(out, binary, digest_encode(digest, binary));
}

static void on_urgent_timer(void *arg)
{
    struct recency *recency = arg;

    send_uses(recency, &recency->urgent);
}

static void on_batch_timer(void *arg)
{
    struct recency *recency = arg;
    AUTO_BUF struct buf batch;

    buf_init(&batch, BATCH_BYTES + DIGEST_BINARY_MAX);
    LIST_EACH (link, &recency->order) {
        struct recency_entry *entry = LIST_ITEM(link, struct recency_entry, link);

        if (!entry->is_dirty)
            continue;
        entry->is_dirty = false;
        append(recency, &batch, &entry->digest);
    }
    send_uses(recency, &batch);
}

struct recency *recency_new(struct worker *worker)
{
    struct recency *recency = NEW(struct recency);

    recency->worker = worker;
    recency->entries = map_new();
    recency->batch_timer = timer_new(worker->options.loop, on_batch_timer, recency);
    recency->urgent_timer = timer_new(worker->options.loop, on_urgent_timer, recency);
    list_init(&recency->order);
    buf_init(&recency->urgent, BATCH_BYTES + DIGEST_BINARY_MAX);
    return recency;
}

static void entry_free(struct recency *recency, struct recency_entry *entry)
{
    uint8_t binary[DIGEST_BINARY_MAX];
    size_t length = digest_encode(&entry->digest, binary);

    map_remove(recency->entries, slice_from(binary, length));
    list_remove(&entry->link);
    mem_free(entry);
}

void recency_free(struct recency **recency)
{
    if (!*recency)
        return;
    struct recency *old = TAKE(*recency);
    timer_free(&old->batch_timer);
    timer_free(&old->urgent_timer);
    while (!list_is_empty(&old->order))
        entry_free(old, LIST_ITEM(old->order.next, struct recency_entry, link));
    map_free(&old->entries);
    buf_cleanup(&old->urgent);
    mem_free(old);
}

/* Waits a little for others: under light load a turn of the loop has one request, and a message a
 * turn would be a message a request. */
static void tell_soon(struct recency *recency, const struct digest *digest)
{
    append(recency, &recency->urgent, digest);
    if (!timer_is_running(recency->urgent_timer))
        timer_start(recency->urgent_timer, URGENT_MS);
}

void recency_note(struct recency *recency, const struct digest *digest)
{
    uint8_t binary[DIGEST_BINARY_MAX];
    struct slice key = slice_from(binary, digest_encode(digest, binary));
    uint64_t now = clock_mono().ms;
    struct recency_entry *entry = map_find(recency->entries, key);

    if (entry && now < entry->used_ms + FRESH_MS) {
        entry->used_ms = now;
        entry->is_dirty = true;
        if (!timer_is_running(recency->batch_timer))
            timer_start(recency->batch_timer, BATCH_MS);
        return;
    }
    if (!entry) {
        if (map_count(recency->entries) >= ENTRIES_MAX)
            entry_free(recency, LIST_ITEM(recency->order.next, struct recency_entry, link));
        entry = NEW(struct recency_entry);
        entry->digest = *digest;
        list_init(&entry->link);
        list_append(&recency->order, &entry->link);
        map_set(recency->entries, key, entry);
    }
    entry->used_ms = now;
    tell_soon(recency, digest);
}
