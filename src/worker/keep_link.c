/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists: waiting for a credit, and open (with the keeper, or with it when it died).
 *
 *   waiting → open → answered
 */
#include "keep_link.h"

#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/map.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "store/ledger.h"
#include "worker_state.h"

#define CREDITS       256
#define WAIT_MAX_MS   30000
#define WAIT_CHECK_MS 500

_Static_assert(offsetof(struct message_blob_stored, actor) == offsetof(struct keep_common, actor),
               "every request begins alike");
_Static_assert(offsetof(struct message_manifest_put, actor) == offsetof(struct keep_common, actor),
               "every request begins alike");
_Static_assert(offsetof(struct message_push_begun, actor) == offsetof(struct keep_common, actor),
               "every request begins alike");
_Static_assert(offsetof(struct message_remove, actor) == offsetof(struct keep_common, actor),
               "every request begins alike");
_Static_assert(offsetof(struct message_link, actor) == offsetof(struct keep_common, actor),
               "every request begins alike");

struct keep_link {
    struct worker *worker;
    struct channel *channel; /* NULL: the keeper is down */
    struct timer *timer;     /* runs while it is down and somebody waits */
    struct list waiting;     /* for a credit or a channel */
    struct list open;        /* with the keeper, or were when it died */
    unsigned open_count;
    unsigned waiting_count;
    struct map *asks; /* request number → open ask */
    uint64_t next;
};

static struct slice key_of(const uint64_t *number)
{
    return slice_from(number, sizeof(*number));
}

static void send_more(struct keep_link *link)
{
    while (link->channel && link->open_count < CREDITS && !list_is_empty(&link->waiting)) {
        struct keep_ask *ask = LIST_ITEM(link->waiting.next, struct keep_ask, link);
        list_remove(&ask->link);
        link->waiting_count--;
        list_append(&link->open, &ask->link);
        link->open_count++;
        map_set(link->asks, key_of(&ask->message.common.request), ask);
        channel_send(link->channel, ask->type, &ask->message, -1);
    }
}

static void answer_open(struct keep_link *link, struct keep_ask *ask,
                        const struct keep_answer *answer)
{
    map_remove(link->asks, key_of(&ask->message.common.request));
    list_remove(&ask->link);
    link->open_count--;
    ask->on_answer(ask, answer);
}

static void answer_waiting(struct keep_link *link, struct keep_ask *ask,
                           const struct keep_answer *answer)
{
    list_remove(&ask->link);
    link->waiting_count--;
    ask->on_answer(ask, answer);
}

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    (void)channel;
    fd_close(fd); /* none of these carries one */
    struct keep_link *link = arg;
    union {
        struct message_done done;
        struct message_refused refused;
    } message;
    struct error err;
    if (type != MESSAGE_DONE && type != MESSAGE_REFUSED)
        return;
    if (message_decode(type, body, &message, &err) != 0) {
        log_say(LOG_ERROR, "a message of the keeper cannot be read: %s", err.text);
        return;
    }
    struct keep_answer answer = {.is_done = type == MESSAGE_DONE};
    uint64_t number;
    if (answer.is_done) {
        number = message.done.request;
        answer.commit = message.done.number;
    } else {
        number = message.refused.request;
        answer.kind = message.refused.kind > 0 && message.refused.kind < ERR_KINDS
                          ? (enum error_kind)message.refused.kind
                          : ERR_INTERNAL;
        answer.text = message.refused.text;
        answer.digests = message.refused.digests;
    }
    struct keep_ask *ask = map_find(link->asks, key_of(&number));
    if (!ask)
        return; /* gave up after 30 s */
    answer_open(link, ask, &answer);
    send_more(link);
}

static void watch_time(struct keep_link *link)
{
    if (!link->channel && link->open_count + link->waiting_count > 0 &&
        !timer_is_running(link->timer))
        timer_start(link->timer, WAIT_CHECK_MS);
}

static bool is_overdue(const struct keep_ask *ask, uint64_t now)
{
    return now >= ask->asked_ms + WAIT_MAX_MS;
}

static void answer_overdue(struct keep_link *link)
{
    struct keep_answer answer = {
        .kind = ERR_BUSY,
        .text = SLICE_LITERAL("the process that stores what is pushed is not there"),
    };
    uint64_t now = clock_mono().ms;
    LIST_EACH (each, &link->open) {
        struct keep_ask *ask = LIST_ITEM(each, struct keep_ask, link);
        if (is_overdue(ask, now))
            answer_open(link, ask, &answer);
    }
    LIST_EACH (each, &link->waiting) {
        struct keep_ask *ask = LIST_ITEM(each, struct keep_ask, link);
        if (is_overdue(ask, now))
            answer_waiting(link, ask, &answer);
    }
    watch_time(link);
}

static void on_timer(void *arg)
{
    struct keep_link *link = arg;
    if (!link->channel)
        answer_overdue(link);
}

/* At once: the next keeper may be here, and dead, before the timer runs out. */
static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    struct keep_link *link = arg;
    log_say(LOG_WARN, "the keeper is down; pushes wait for it");
    channel_free(&link->channel);
    answer_overdue(link);
}

static const struct channel_handler handler = {
    .on_message = on_message, .on_closed = on_closed, .on_failed = channel_end_process};

struct keep_link *keep_link_new(struct worker *worker)
{
    struct keep_link *link = NEW(struct keep_link);
    link->worker = worker;
    link->timer = timer_new(worker->options.loop, on_timer, link);
    link->asks = map_new();
    list_init(&link->waiting);
    list_init(&link->open);
    return link;
}

void keep_link_cancel(struct keep_link *link)
{
    struct keep_answer answer = {
        .kind = ERR_CANCELLED,
        .text = SLICE_LITERAL("the server is ending"),
    };
    while (!list_is_empty(&link->open))
        answer_open(link, LIST_ITEM(link->open.next, struct keep_ask, link), &answer);
    while (!list_is_empty(&link->waiting))
        answer_waiting(link, LIST_ITEM(link->waiting.next, struct keep_ask, link), &answer);
}

void keep_link_free(struct keep_link **link)
{
    if (!*link)
        return;
    channel_free(&(*link)->channel);
    keep_link_cancel(*link);
    timer_free(&(*link)->timer);
    map_free(&(*link)->asks);
    mem_free(TAKE(*link));
}

bool keep_link_is_up(const struct keep_link *link)
{
    return link->channel != NULL;
}

unsigned keep_link_waiting(const struct keep_link *link)
{
    return link->open_count + link->waiting_count;
}

void keep_link_set_channel(struct keep_link *link, int *fd)
{
    channel_free(&link->channel);
    link->channel = channel_new(link->worker->options.loop, fd, &handler, link);
    timer_stop(link->timer);
    LIST_EACH (each, &link->open) {
        struct keep_ask *ask = LIST_ITEM(each, struct keep_ask, link);
        ask->message.common.repeated = 1;
        channel_send(link->channel, ask->type, &ask->message, -1);
    }
    send_more(link);
}

void keep_link_ask(struct keep_link *link, struct keep_ask *ask)
{
    ask->message.common.request = ++link->next;
    ask->message.common.seen = ledger_commit_number(worker_read(link->worker));
    worker_read_end(link->worker);
    ask->message.common.repeated = 0;
    ask->message.common.actor = slice_of(ask->actor);
    ask->asked_ms = clock_mono().ms;
    list_init(&ask->link);
    list_append(&link->waiting, &ask->link);
    link->waiting_count++;
    send_more(link);
    watch_time(link);
}

void keep_link_used(struct keep_link *link, const struct message_used *used)
{
    if (link->channel)
        channel_send(link->channel, MESSAGE_USED, used, -1);
}

void keep_answer_error(const struct keep_answer *answer, struct error *err)
{
    CHECK(!answer->is_done);
    error_set(err, answer->kind == ERR_NONE ? ERR_INTERNAL : answer->kind, "%.*s",
              SLICE_PRINT(answer->text));
}
