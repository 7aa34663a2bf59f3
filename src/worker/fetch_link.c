/* SPDX-License-Identifier: Apache-2.0 */
/* Open questions: in a map by their number, and in a list in the order in which a new fetcher gets
 * them. */
#include "fetch_link.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "ipc/channel.h"

struct fetch_link {
    struct loop *loop;
    struct channel *channel; /* NULL: the fetcher is down */
    struct map *asks;        /* request number → ask */
    struct list open;        /* in the order of asking */
    uint64_t unsettled;      /* of the open ones */
    uint64_t maximum;
    uint64_t next;
};

union fetch_message {
    struct message_here here;
    struct message_open open;
    struct message_grew grew;
    struct message_taken taken;
    struct message_verified verified;
    struct message_answer answer;
    struct message_failed failed;
};

static bool request_number(enum message_type type, const union fetch_message *message,
                           uint64_t *out)
{
    if (type == MESSAGE_HERE)
        *out = message->here.request;
    else if (type == MESSAGE_OPEN)
        *out = message->open.request;
    else if (type == MESSAGE_GREW)
        *out = message->grew.request;
    else if (type == MESSAGE_TAKEN)
        *out = message->taken.request;
    else if (type == MESSAGE_VERIFIED)
        *out = message->verified.request;
    else if (type == MESSAGE_ANSWER)
        *out = message->answer.request;
    else if (type == MESSAGE_FAILED)
        *out = message->failed.request;
    else
        return false;
    return true;
}

static void close_ask(struct fetch_link *link, struct fetch_ask *ask)
{
    map_remove(link->asks, map_key(&ask->join.request));
    list_remove(&ask->link);
    ask->is_open = false;
    if (!ask->is_settled)
        link->unsettled--;
}

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    (void)channel;
    struct fetch_link *link = arg;
    union fetch_message message;
    struct error err;
    uint64_t number;
    if (type >= MESSAGE_TYPES || type < MESSAGE_HERE || type > MESSAGE_FAILED)
        return;
    if (message_decode(type, body, &message, &err) != 0) {
        log_say(LOG_ERROR, "malformed message from the fetcher: %s", err.text);
        return;
    }
    if (!request_number(type, &message, &number))
        return;
    struct fetch_ask *ask = map_find(link->asks, map_key(&number));
    if (!ask)
        return; /* it was dropped when the message was on its way */
    if (type == MESSAGE_HERE || type == MESSAGE_ANSWER || type == MESSAGE_FAILED)
        close_ask(link, ask);
    ask->on_message(ask, type, &message, fd);
}

static void lose(struct fetch_link *link)
{
    channel_free(&link->channel);
    LIST_EACH (each, &link->open) {
        struct fetch_ask *ask = LIST_ITEM(each, struct fetch_ask, link);

        if (ask->on_lost && !ask->is_settled)
            ask->on_lost(ask);
    }
}

static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    log_say(LOG_WARN, "the fetcher is down; serving cached content only");
    lose(arg);
}

static const struct channel_handler handler = {
    .on_message = on_message, .on_closed = on_closed, .on_failed = channel_end_process};

struct fetch_link *fetch_link_new(struct loop *loop, uint64_t maximum)
{
    struct fetch_link *link = NEW(struct fetch_link);

    link->loop = loop;
    link->maximum = maximum;
    link->asks = map_new();
    list_init(&link->open);
    return link;
}

void fetch_link_set_maximum(struct fetch_link *link, uint64_t maximum)
{
    link->maximum = maximum;
}

void fetch_link_free(struct fetch_link **link)
{
    if (!*link)
        return;
    LIST_EACH (each, &(*link)->open)
        close_ask(*link, LIST_ITEM(each, struct fetch_ask, link));
    channel_free(&(*link)->channel);
    map_free(&(*link)->asks);
    mem_free(TAKE(*link));
}

bool fetch_link_is_up(const struct fetch_link *link)
{
    return link->channel;
}

bool fetch_link_is_full(const struct fetch_link *link)
{
    return link->unsettled >= link->maximum;
}

struct message_failed fetch_link_full(void)
{
    return (struct message_failed){
        .kind = ERR_NO_SPACE,
        .text = SLICE_LITERAL("too many requests are waiting for upstreams"),
    };
}

void fetch_link_set_channel(struct fetch_link *link, int *fd)
{
    if (link->channel)
        lose(link);
    link->channel = channel_new(link->loop, fd, (struct channel_ends){ROLE_WORKER, ROLE_FETCHER},
                                &handler, link);
    LIST_EACH (each, &link->open) {
        struct fetch_ask *ask = LIST_ITEM(each, struct fetch_ask, link);

        if (!ask->is_settled)
            channel_send(link->channel, MESSAGE_JOIN, &ask->join, -1);
    }
}

void fetch_link_ask(struct fetch_link *link, struct fetch_ask *ask)
{
    CHECK(!ask->is_open);
    ask->join.request = ++link->next;
    ask->is_open = true;
    ask->is_settled = false;
    link->unsettled++;
    map_set(link->asks, map_key(&ask->join.request), ask);
    list_init(&ask->link);
    list_append(&link->open, &ask->link);
    if (link->channel)
        channel_send(link->channel, MESSAGE_JOIN, &ask->join, -1);
}

void fetch_link_settle(struct fetch_link *link, struct fetch_ask *ask)
{
    if (!ask->is_open || ask->is_settled)
        return;
    ask->is_settled = true;
    link->unsettled--;
}

void fetch_link_drop(struct fetch_link *link, struct fetch_ask *ask)
{
    if (!ask->is_open)
        return;
    struct message_leave leave = {.request = ask->join.request};
    close_ask(link, ask);
    if (link->channel)
        channel_send(link->channel, MESSAGE_LEAVE, &leave, -1);
}
