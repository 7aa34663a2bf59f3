/* SPDX-License-Identifier: Apache-2.0 */
/* Open calls: in a map by their number, and in a list in the order in which a new fetcher gets
 * them. */
#include "fetcher_client.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "ipc/channel.h"
#include "net/loop.h"

struct fetcher_client {
    struct loop *loop;
    struct channel *channel; /* NULL: the fetcher is down */
    bool is_last;            /* no other channel comes */
    struct map *calls;       /* request number → call */
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

static void close_call(struct fetcher_client *client, struct fetcher_call *call)
{
    map_remove(client->calls, map_key(&call->join.request));
    list_remove(&call->link);
    call->is_open = false;
    if (!call->is_settled)
        client->unsettled--;
}

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    (void)channel;
    struct fetcher_client *client = arg;
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
    struct fetcher_call *call = map_find(client->calls, map_key(&number));
    if (!call)
        return; /* it was dropped when the message was on its way */
    if (type == MESSAGE_HERE || type == MESSAGE_ANSWER || type == MESSAGE_FAILED)
        close_call(client, call);
    call->on_message(call, type, &message, fd);
}

static struct fetcher_call *find_unsettled(const struct fetcher_client *client, uint64_t last)
{
    LIST_EACH (each, &client->open) {
        struct fetcher_call *call = LIST_ITEM(each, struct fetcher_call, link);

        if (!call->is_settled && call->join.request <= last)
            return call;
    }
    return NULL;
}

/* Nobody will ever answer them. With 502 a client tries its next host. */
static void fail_hopeless(void *arg)
{
    struct fetcher_client *client = arg;
    struct message_failed failed = {
        .kind = ERR_IO,
        .text =
            SLICE_LITERAL("the process that asks upstreams has ended, and the server is ending"),
    };
    uint64_t last = client->next; /* what is asked meanwhile fails later */
    struct fetcher_call *call = find_unsettled(client, last);

    for (; call; call = find_unsettled(client, last)) {
        int none = -1;

        close_call(client, call);
        call->on_message(call, MESSAGE_FAILED, &failed, &none);
    }
}

static void lose(struct fetcher_client *client)
{
    channel_free(&client->channel);
    LIST_EACH (each, &client->open) {
        struct fetcher_call *call = LIST_ITEM(each, struct fetcher_call, link);

        if (call->on_lost && !call->is_settled)
            call->on_lost(call);
    }
}

static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    struct fetcher_client *client = arg;

    log_say(LOG_WARN, "the fetcher is down; serving cached content only");
    lose(client);
    if (client->is_last)
        fail_hopeless(client);
}

static const struct channel_handler handler = {
    .on_message = on_message, .on_closed = on_closed, .on_failed = channel_end_process};

struct fetcher_client *fetcher_client_new(struct loop *loop, uint64_t maximum)
{
    struct fetcher_client *client = NEW(struct fetcher_client);

    client->loop = loop;
    client->maximum = maximum;
    client->calls = map_new();
    list_init(&client->open);
    return client;
}

void fetcher_client_set_maximum(struct fetcher_client *client, uint64_t maximum)
{
    client->maximum = maximum;
}

void fetcher_client_free(struct fetcher_client **client)
{
    if (!*client)
        return;
    loop_cancel_deferred((*client)->loop, *client);
    LIST_EACH (each, &(*client)->open)
        close_call(*client, LIST_ITEM(each, struct fetcher_call, link));
    channel_free(&(*client)->channel);
    map_free(&(*client)->calls);
    mem_free(TAKE(*client));
}

void fetcher_client_set_last(struct fetcher_client *client)
{
    client->is_last = true;
    if (!client->channel)
        fail_hopeless(client);
}

bool fetcher_client_is_up(const struct fetcher_client *client)
{
    return client->channel;
}

bool fetcher_client_is_full(const struct fetcher_client *client)
{
    return client->unsettled >= client->maximum;
}

struct message_failed fetcher_client_full(void)
{
    return (struct message_failed){
        .kind = ERR_NO_SPACE,
        .text = SLICE_LITERAL("too many requests are waiting for upstreams"),
    };
}

void fetcher_client_set_channel(struct fetcher_client *client, int *fd)
{
    if (client->channel)
        lose(client);
    client->channel = channel_new(
        client->loop, fd, (struct channel_ends){ROLE_WORKER, ROLE_FETCHER}, &handler, client);
    LIST_EACH (each, &client->open) {
        struct fetcher_call *call = LIST_ITEM(each, struct fetcher_call, link);

        if (!call->is_settled)
            channel_send(client->channel, MESSAGE_JOIN, &call->join, -1);
    }
}

void fetcher_client_ask(struct fetcher_client *client, struct fetcher_call *call)
{
    CHECK(!call->is_open);
    call->join.request = ++client->next;
    call->is_open = true;
    call->is_settled = false;
    client->unsettled++;
    map_set(client->calls, map_key(&call->join.request), call);
    list_init(&call->link);
    list_append(&client->open, &call->link);
    if (client->channel)
        channel_send(client->channel, MESSAGE_JOIN, &call->join, -1);
    else if (client->is_last)
        loop_defer(client->loop, fail_hopeless, client);
}

void fetcher_client_settle(struct fetcher_client *client, struct fetcher_call *call)
{
    if (!call->is_open || call->is_settled)
        return;
    call->is_settled = true;
    client->unsettled--;
}

void fetcher_client_drop(struct fetcher_client *client, struct fetcher_call *call)
{
    if (!call->is_open)
        return;
    struct message_leave leave = {.request = call->join.request};
    close_call(client, call);
    if (client->channel)
        channel_send(client->channel, MESSAGE_LEAVE, &leave, -1);
}
