/* SPDX-License-Identifier: Apache-2.0 */
/* See ask.h. */
#include "ask.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/map.h"
#include "config/config.h"
#include "fetch.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "received.h"
#include "received_list.h"
#include "role.h"
#include "upstream.h"

#define KEY_MAX        8192
#define LATE_WITHIN_MS 5000

static void build_ask_key(struct buf *key, const struct message_join *join,
                          struct upstream *upstream)
{
    uint8_t digest[DIGEST_BINARY_MAX];

    buf_init(key, KEY_MAX);
    buf_append_byte(key, (char)('0' + join->kind));
    buf_append_text(key, upstream->name);
    buf_append_byte(key, '\n');
    buf_append_slice(key, join->repository);
    buf_append_byte(key, '\n');
    if (join->kind == JOIN_TAG || join->kind == JOIN_TAGS_LIST || join->kind == JOIN_PRESENCE) {
        buf_append_slice(key, join->reference);
        return;
    }
    buf_append(key, digest, digest_encode(&join->digest, digest));
    if (join->kind == JOIN_REFERRERS)
        buf_append_slice(key, join->reference);
}

static void leave_table(struct ask *ask)
{
    if (!ask->is_in_table)
        return;
    map_remove(ask->fetcher->asks, buf_bytes(&ask->key));
    ask->is_in_table = false;
    fetcher_count_flights(ask->fetcher);
    drain_release(ask->fetcher);
}

static void ask_free(void *arg)
{
    struct ask *ask = arg;

    list_remove(&ask->link);
    fetch_cancel(&ask->fetch);
    received_drop(&ask->received);
    received_list_drop(&ask->list);
    buf_cleanup(&ask->key);
    mem_free(ask->repository);
    mem_free(ask->reference);
    upstream_unref(&ask->upstream);
    mem_free(ask);
}

#define TO(state) (1u << ASK_##state)
static const unsigned moves[ASK_STATES] = {
    [ASK_ASKING] = TO(ASKING) | TO(READING) | TO(ENDED), /* again: a HEAD, then a GET */
    [ASK_READING] = TO(STORING) | TO(ENDED),
    [ASK_STORING] = TO(ENDED),
    [ASK_ENDED] = 0,
};
#undef TO

void ask_set_state(struct ask *ask, enum ask_state next)
{
    CHECK((moves[ask->state] & (1u << next)) != 0);
    ask->state = next;
}

void ask_end(struct ask *ask)
{
    if (ask->state == ASK_ENDED)
        return;
    ask_set_state(ask, ASK_ENDED);
    leave_table(ask);
    fetch_cancel(&ask->fetch);
    loop_defer(ask->fetcher->options.loop, ask_free, ask);
}

void ask_answer_payload(struct ask *ask, struct message_answer *answer, int payload_fd)
{
    while (!list_is_empty(&ask->followers)) {
        struct follower *follower = LIST_ITEM(ask->followers.next, struct follower, link);

        follower_answer(&follower, answer, payload_fd);
    }
}

void ask_answer(struct ask *ask, struct message_answer *answer)
{
    ask_answer_payload(ask, answer, -1);
}

void ask_fail(struct ask *ask, const struct error *err, uint64_t retry_after)
{
    while (!list_is_empty(&ask->followers)) {
        struct follower *follower = LIST_ITEM(ask->followers.next, struct follower, link);

        follower_fail(&follower, err, retry_after);
    }
    ask_end(ask);
}

struct lookup ask_lookup(const struct ask *ask)
{
    return (struct lookup){
        .fetcher = ask->fetcher,
        .upstream = ask->upstream->config,
        .repository = slice_of(ask->repository),
        .is_own_only = ask->kind == JOIN_MANIFEST && ask->is_check,
    };
}

void ask_fetch(struct ask *ask, struct fetch_request *request,
               void (*fn)(const struct fetch_result *result, void *arg))
{
    request->upstream = ask->upstream;
    request->repository = slice_of(ask->repository);
    ask_set_state(ask, ASK_ASKING);
    ask->fetch = fetch_start(request, fn, ask);
}

struct ask *ask_new(struct fetcher *fetcher, const struct message_join *join,
                    struct upstream *upstream)
{
    struct ask *ask = NEW(struct ask);

    ask->fetcher = fetcher;
    ask->upstream = upstream_ref(upstream);
    ask->origin = slice_of(upstream->name);
    ask->kind = (enum join_kind)join->kind;
    ask->repository = slice_dup(join->repository);
    ask->reference = slice_dup(join->reference);
    ask->digest = join->digest;
    ask->is_check = join->is_check;
    list_init(&ask->followers);
    list_append(&fetcher->all_asks, &ask->link);
    build_ask_key(&ask->key, join, upstream);
    map_set(fetcher->asks, buf_bytes(&ask->key), ask);
    ask->is_in_table = true;
    drain_hold(fetcher);
    metrics_add(METRIC_flights_started, 1);
    fetcher_count_flights(fetcher);
    return ask;
}

struct ask *ask_find(struct fetcher *fetcher, const struct message_join *join,
                     struct upstream *upstream)
{
    AUTO_BUF struct buf key;

    build_ask_key(&key, join, upstream);
    struct ask *ask = map_find(fetcher->asks, buf_bytes(&key));
    if (ask && ask->state == ASK_STORING &&
        monotime_since(clock_mono(), ask->answered_at) > LATE_WITHIN_MS) {
        leave_table(ask); /* it only waits for the keeper now */
        return NULL;
    }
    return ask;
}

void ask_free_all(struct fetcher *fetcher)
{
    while (!list_is_empty(&fetcher->all_asks)) {
        struct ask *ask = LIST_ITEM(fetcher->all_asks.next, struct ask, link);

        loop_cancel_deferred(fetcher->options.loop, ask);
        keeper_client_forget(fetcher->keeper, ask);
        ask_free(ask);
    }
    map_free(&fetcher->asks);
}
