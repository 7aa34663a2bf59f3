/* SPDX-License-Identifier: Apache-2.0 */
/* How an ask begins: a follower joins one that is running, or starts a new one by its kind. */
#include "ask.h"
#include "base/list.h"
#include "follower.h"
#include "received.h"
#include "role.h"

static void on_ask_leave(struct follower *follower)
{
    struct ask *ask = follower->owner;

    follower_free(&follower);
    /* What has come already is stored, and the check of a tag serves the next client. */
    bool is_kept = ask->kind == JOIN_TAG && ask->is_check;
    if (ask->fetch && !is_kept && list_is_empty(&ask->followers))
        ask_end(ask);
}

static void begin_ask(struct ask *ask)
{
    switch (ask->kind) {
    case JOIN_MANIFEST:
        ask_begin_manifest(ask);
        break;
    case JOIN_TAG:
        ask_begin_tag(ask);
        break;
    case JOIN_BLOB:
    case JOIN_BLOB_SIZE:
    case JOIN_TAGS_LIST:
    case JOIN_REFERRERS:
        ask_begin_list(ask);
        break;
    case JOIN_PRESENCE:
        ask_begin_presence(ask);
        break;
    }
}

/* A tag's manifest that has come but is not stored yet. A client that asked for the tag asks for
 * its digest next, and a second GET would count as a second pull. */
static struct ask *find_received(struct fetcher *fetcher, const struct message_join *join,
                                 const struct upstream *upstream)
{
    LIST_EACH (link, &fetcher->all_asks) {
        struct ask *ask = LIST_ITEM(link, struct ask, link);

        if (ask->kind == JOIN_TAG && ask->state == ASK_STORING && ask->upstream == upstream &&
            digest_equal(&ask->received->digest, &join->digest) &&
            slice_equal(slice_of(ask->repository), join->repository))
            return ask;
    }
    return NULL;
}

void ask_join(struct fetcher *fetcher, struct follower *follower, const struct message_join *join,
              struct upstream *upstream)
{
    struct ask *ask = ask_find(fetcher, join, upstream);

    if (!ask && join->kind == JOIN_MANIFEST)
        ask = find_received(fetcher, join, upstream);
    bool is_new = !ask;

    if (is_new)
        ask = ask_new(fetcher, join, upstream);
    follower->owner = ask;
    follower->on_leave = on_ask_leave;
    list_append(&ask->followers, &follower->link);
    if (is_new)
        begin_ask(ask);
    else if (ask->state == ASK_STORING)
        ask_answer_late(ask);
}
