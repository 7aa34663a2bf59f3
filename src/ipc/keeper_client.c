/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls are in one of four lists: waiting (for a credit or a channel), open (sent to this keeper,
 * or to the one that died), refused (to be answered after this turn) or overdue (being answered;
 * the callback of one may forget or cancel others). One timer checks the deadlines.
 */
#include "ipc/keeper_client.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/map.h"
#include "ipc/channel.h"
#include "net/loop.h"

#define DOWN_MAX_MS    30000 /* without a keeper */
#define HUNG_MAX_MS    60000 /* with one: a slow disk is no reason to give up early */
#define CHECK_MS       500
#define FLUSH_MS       100
#define TOLD_BODY_MAX  (16ul * 1024 * 1024)
#define BUSY_NO_NUMBER "the ledger cannot be read"
#define BUSY_DOWN      "the process that stores images is not running"
#define BUSY_HUNG      "the process that stores images does not answer"
#define BUSY_LAST      "the process that stores images has ended, and the server is ending"

struct keeper_client {
    struct keeper_client_options options;
    struct channel *channel; /* NULL: the keeper is down */
    bool is_last;            /* no other channel comes */
    struct timer *timer;     /* runs while a call is unanswered */
    struct list waiting;
    struct list open;
    struct list refused;
    struct list overdue;
    size_t pending;
    size_t open_count;
    struct map *calls; /* number → open call */
    struct map *late;  /* numbers whose deadline passed before the keeper's answer */
    uint64_t last_number;
    uint64_t barrier; /* number of the one under way; 0: none */
    bool is_dropping; /* said so in the log */
};

/* What keeper_client_tell has copied. */
struct told {
    struct keeper_call call;
    struct buf body; /* what the slices of the message point into */
    keeper_told_fn *fn;
    void *arg;
};

static struct message_head *head_of(struct keeper_call *call)
{
    struct message_head *head = message_head_of(call->type, &call->message);

    CHECK(head);
    return head;
}

/* ---- answers ---- */

static void unlink_call(struct keeper_client *client, struct keeper_call *call)
{
    list_remove(&call->link);
    if (call->is_open) {
        map_remove(client->calls, map_key(&head_of(call)->request));
        client->open_count--;
        call->is_open = false;
    }
}

static void answer_call(struct keeper_client *client, struct keeper_call *call,
                        const struct keeper_answer *answer)
{
    unlink_call(client, call);
    client->pending--;
    call->on_answer(call, answer);
    if (client->pending == 0 && client->options.on_quiet)
        client->options.on_quiet(client->options.arg);
}

static void answer_list(struct keeper_client *client, struct list *calls, enum error_kind kind,
                        const char *text)
{
    struct keeper_answer answer = {.kind = kind, .text = slice_of(text)};

    while (!list_is_empty(calls))
        answer_call(client, LIST_ITEM(calls->next, struct keeper_call, link), &answer);
}

static bool is_hopeless(const struct keeper_client *client)
{
    return client->is_last && !client->channel;
}

static void on_refused_calls(void *arg)
{
    struct keeper_client *client = arg;

    answer_list(client, &client->refused, ERR_BUSY,
                is_hopeless(client) ? BUSY_LAST : BUSY_NO_NUMBER);
}

static void refuse_call(struct keeper_client *client, struct keeper_call *call)
{
    if (list_is_empty(&client->refused))
        loop_defer(client->options.loop, on_refused_calls, client);
    list_append(&client->refused, &call->link);
}

void keeper_answer_error(const struct keeper_answer *answer, struct error *err)
{
    CHECK(!answer->is_done);
    error_set(err, answer->kind == ERR_NONE ? ERR_INTERNAL : answer->kind, "%.*s",
              SLICE_PRINT(answer->text));
}

/* ---- sending ---- */

static void send_call(struct keeper_client *client, struct keeper_call *call)
{
    head_of(call)->actor = call->actor;
    channel_send(client->channel, call->type, &call->message, -1);
}

static bool has_credit(const struct keeper_client *client)
{
    return client->open_count + map_count(client->late) < client->options.credits;
}

static void send_waiting(struct keeper_client *client)
{
    while (client->channel && has_credit(client) && !list_is_empty(&client->waiting)) {
        struct keeper_call *call = LIST_ITEM(client->waiting.next, struct keeper_call, link);

        list_remove(&call->link);
        list_append(&client->open, &call->link);
        call->is_open = true;
        client->open_count++;
        map_set(client->calls, map_key(&head_of(call)->request), call);
        send_call(client, call);
    }
}

void keeper_call_set_actor(struct keeper_call *call, const struct actor *actor)
{
    const struct slice given[3] = {actor->principal, actor->address, actor->request_id};
    struct slice *const taken[3] = {&call->actor.principal, &call->actor.address,
                                    &call->actor.request_id};
    char *place = call->actor_text;
    size_t room = sizeof(call->actor_text);

    for (size_t i = 0; i < 3; i++) {
        size_t length = given[i].length < room ? given[i].length : room;

        if (length > 0)
            memcpy(place, given[i].data, length);
        *taken[i] = slice_from(place, length);
        place += length;
        room -= length;
    }
}

static void watch_deadlines(struct keeper_client *client)
{
    if (client->pending > 0 && !timer_is_running(client->timer))
        timer_start(client->timer, CHECK_MS);
}

void keeper_client_ask(struct keeper_client *client, struct keeper_call *call)
{
    struct message_head *head = head_of(call);
    struct error err;

    *head = (struct message_head){.request = ++client->last_number};
    call->asked_ms = clock_mono().ms;
    call->is_open = false;
    client->pending++;
    list_init(&call->link);
    if (is_hopeless(client)) {
        refuse_call(client, call);
        return;
    }
    /* Never 0 in its place: a repeat would be compared with the whole journal. */
    if (client->options.read_number(&head->seen, &err, client->options.arg) != 0) {
        log_say(LOG_ERROR, "%s is not sent: no commit number: %s", message_name(call->type),
                err.text);
        refuse_call(client, call);
        return;
    }
    list_append(&client->waiting, &call->link);
    send_waiting(client);
    watch_deadlines(client);
}

void keeper_client_mention(struct keeper_client *client, enum message_type type,
                           const void *message)
{
    if (client->channel)
        channel_send(client->channel, type, message, -1);
}

/* ---- copies ---- */

static void told_free(struct told *told)
{
    buf_cleanup(&told->body);
    mem_free(told);
}

static void on_told_answer(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct told *told = LIST_ITEM(call, struct told, call);
    keeper_told_fn *fn = told->fn;
    void *arg = told->arg;
    struct error err;
    struct log_line line;

    if (!answer->is_done) {
        keeper_answer_error(answer, &err);
        log_begin(&line, LOG_WARN);
        log_text(&line, "call", message_name(call->type));
        log_end(&line, "the keeper did not store it: %s", err.text);
    }
    told_free(told);
    if (fn)
        fn(answer->is_done ? NULL : &err, arg);
}

static bool is_told(const struct keeper_call *call)
{
    return call->on_answer == on_told_answer;
}

/* The keeper was away for long. A message without a callback is news from an upstream, which will
 * come again when the upstream is asked again. */
static bool must_drop(struct keeper_client *client, enum message_type type)
{
    bool is_full =
        client->options.unanswered_max > 0 && client->pending >= client->options.unanswered_max;

    if (is_full && !client->is_dropping) {
        log_say(LOG_WARN, "%s is dropped, and others: %zu messages wait for the keeper",
                message_name(type), client->pending);
    }
    client->is_dropping = is_full;
    return is_full;
}

void keeper_client_tell(struct keeper_client *client, enum message_type type, const void *message,
                        bool is_patient, keeper_told_fn *fn, void *arg)
{
    struct error err;

    if (!fn && must_drop(client, type))
        return;
    struct told *told = NEW(struct told);
    told->fn = fn;
    told->arg = arg;
    told->call.type = type;
    told->call.on_answer = on_told_answer;
    told->call.is_patient = is_patient;
    buf_init(&told->body, TOLD_BODY_MAX);
    message_encode(type, message, &told->body);
    CHECK(!told->body.is_over);
    CHECK(message_decode(type, buf_bytes(&told->body), &told->call.message, &err) == 0);
    keeper_client_ask(client, &told->call);
}

static void forget_in(struct list *calls, const void *arg)
{
    LIST_EACH (link, calls) {
        struct keeper_call *call = LIST_ITEM(link, struct keeper_call, link);

        if (is_told(call) && LIST_ITEM(call, struct told, call)->arg == arg)
            LIST_ITEM(call, struct told, call)->fn = NULL;
    }
}

void keeper_client_forget(struct keeper_client *client, const void *arg)
{
    forget_in(&client->open, arg);
    forget_in(&client->waiting, arg);
    forget_in(&client->refused, arg);
    forget_in(&client->overdue, arg);
}

/* ---- deadlines ---- */

static void move_overdue(struct list *calls, uint64_t before_ms, struct list *out)
{
    LIST_EACH (link, calls) {
        struct keeper_call *call = LIST_ITEM(link, struct keeper_call, link);

        if (call->asked_ms > before_ms)
            break; /* they are in the order they were asked in */
        if (call->is_patient)
            continue;
        list_remove(link);
        list_append(out, link);
    }
}

/* The keeper still has them: their credits come back with its answers. */
static void keep_credit(struct keeper_client *client, struct list *calls)
{
    LIST_EACH (link, calls) {
        struct keeper_call *call = LIST_ITEM(link, struct keeper_call, link);

        if (call->is_open)
            map_set(client->late, map_key(&head_of(call)->request), client);
    }
}

static void answer_overdue(struct keeper_client *client)
{
    uint64_t limit_ms = client->channel ? HUNG_MAX_MS : DOWN_MAX_MS;
    uint64_t now_ms = clock_mono().ms;

    if (now_ms < limit_ms)
        return;
    move_overdue(&client->open, now_ms - limit_ms, &client->overdue);
    move_overdue(&client->waiting, now_ms - limit_ms, &client->overdue);
    if (client->channel) {
        keep_credit(client, &client->overdue);
        answer_list(client, &client->overdue, ERR_BUSY, BUSY_HUNG);
    } else {
        answer_list(client, &client->overdue, ERR_BUSY, BUSY_DOWN);
    }
}

static void move_all(struct list *calls, struct list *out)
{
    LIST_EACH (link, calls) {
        list_remove(link);
        list_append(out, link);
    }
}

/* Nobody will ever answer them, patient ones neither. */
static void answer_hopeless(struct keeper_client *client)
{
    move_all(&client->open, &client->overdue);
    move_all(&client->waiting, &client->overdue);
    answer_list(client, &client->overdue, ERR_BUSY, BUSY_LAST);
}

static void on_deadline_check(void *arg)
{
    struct keeper_client *client = arg;

    answer_overdue(client);
    watch_deadlines(client);
}

/* ---- the channel ---- */

static void take_answer(struct keeper_client *client, uint64_t number,
                        const struct keeper_answer *answer)
{
    if (number == client->barrier && number != 0) {
        client->barrier = 0;
        client->options.on_barrier(client->options.arg);
        return;
    }
    struct keeper_call *call = map_find(client->calls, map_key(&number));
    if (call)
        answer_call(client, call, answer);
    else if (!map_remove(client->late, map_key(&number)))
        log_say(LOG_WARN, "the keeper answered a request that was not open");
    send_waiting(client);
}

static void take_done(struct keeper_client *client, struct slice body)
{
    struct message_done done;
    struct error err;

    CHECK(message_decode(MESSAGE_DONE, body, &done, &err) == 0); /* the channel has looked */
    take_answer(client, done.request,
                &(struct keeper_answer){.is_done = true, .commit = done.number});
}

static void take_refused(struct keeper_client *client, struct slice body)
{
    struct message_refused refused;
    struct error err;

    CHECK(message_decode(MESSAGE_REFUSED, body, &refused, &err) == 0);
    bool is_known = refused.kind > ERR_NONE && refused.kind < ERR_KINDS;
    take_answer(client, refused.request,
                &(struct keeper_answer){
                    .kind = is_known ? (enum error_kind)refused.kind : ERR_INTERNAL,
                    .text = refused.text,
                    .digests = refused.digests,
                });
}

static void take_changed(struct keeper_client *client, struct slice body)
{
    struct message_changed changed;
    struct error err;

    CHECK(message_decode(MESSAGE_CHANGED, body, &changed, &err) == 0);
    if (client->options.on_changed)
        client->options.on_changed(changed.number, client->options.arg);
}

static void on_keeper_message(struct channel *channel, enum message_type type, struct slice body,
                              int *fd, void *arg)
{
    struct keeper_client *client = arg;

    (void)channel;
    fd_close(fd); /* the keeper sends none */
    if (type == MESSAGE_DONE)
        take_done(client, body);
    else if (type == MESSAGE_REFUSED)
        take_refused(client, body);
    else if (type == MESSAGE_CHANGED)
        take_changed(client, body);
}

static void close_channel(struct keeper_client *client)
{
    channel_free(&client->channel);
    client->barrier = 0;
    map_free(&client->late);
    client->late = map_new();
}

/* Overdue calls are answered at once: the next keeper may be here, and dead, before the timer. */
static void on_keeper_closed(struct channel *channel, void *arg)
{
    struct keeper_client *client = arg;

    (void)channel;
    log_say(LOG_WARN, "the keeper is down; %zu requests wait for it", client->pending);
    close_channel(client);
    if (client->is_last)
        answer_hopeless(client);
    else
        answer_overdue(client);
}

static const struct channel_handler keeper_handler = {
    .on_message = on_keeper_message,
    .on_closed = on_keeper_closed,
    .on_failed = channel_end_process,
};

void keeper_client_set_channel(struct keeper_client *client, int *fd)
{
    close_channel(client);
    client->channel = channel_new(client->options.loop, fd,
                                  (struct channel_ends){client->options.role, ROLE_KEEPER},
                                  &keeper_handler, client);
    if (client->options.on_barrier) {
        struct message_barrier barrier = {.request = ++client->last_number};

        client->barrier = barrier.request;
        channel_send(client->channel, MESSAGE_BARRIER, &barrier, -1);
    }
    if (client->options.on_changed)
        channel_send(client->channel, MESSAGE_WATCH, &(struct message_watch){0}, -1);
    LIST_EACH (link, &client->open) {
        struct keeper_call *call = LIST_ITEM(link, struct keeper_call, link);

        head_of(call)->repeated = 1;
        send_call(client, call);
    }
    send_waiting(client);
}

void keeper_client_set_last(struct keeper_client *client)
{
    client->is_last = true;
    if (!client->channel)
        answer_hopeless(client);
}

bool keeper_client_is_up(const struct keeper_client *client)
{
    return client->channel;
}

size_t keeper_client_pending(const struct keeper_client *client)
{
    return client->pending;
}

/* ---- life ---- */

struct keeper_client *keeper_client_new(const struct keeper_client_options *options)
{
    struct keeper_client *client = NEW(struct keeper_client);

    client->options = *options;
    client->timer = timer_new(options->loop, on_deadline_check, client);
    client->calls = map_new();
    client->late = map_new();
    list_init(&client->waiting);
    list_init(&client->open);
    list_init(&client->refused);
    list_init(&client->overdue);
    return client;
}

static void cancel_list(struct keeper_client *client, struct list *calls)
{
    const struct keeper_answer answer = {
        .kind = ERR_CANCELLED,
        .text = SLICE_LITERAL("the server is ending"),
    };

    while (!list_is_empty(calls)) {
        struct keeper_call *call = LIST_ITEM(calls->next, struct keeper_call, link);

        unlink_call(client, call);
        client->pending--;
        if (is_told(call))
            told_free(LIST_ITEM(call, struct told, call));
        else
            call->on_answer(call, &answer);
    }
}

void keeper_client_cancel(struct keeper_client *client)
{
    cancel_list(client, &client->open);
    cancel_list(client, &client->waiting);
    cancel_list(client, &client->refused);
    cancel_list(client, &client->overdue);
}

void keeper_client_free(struct keeper_client **client)
{
    struct keeper_client *gone = TAKE(*client);

    if (!gone)
        return;
    loop_cancel_deferred(gone->options.loop, gone);
    if (gone->channel)
        channel_flush(gone->channel, FLUSH_MS);
    channel_free(&gone->channel);
    keeper_client_cancel(gone);
    timer_free(&gone->timer);
    map_free(&gone->calls);
    map_free(&gone->late);
    mem_free(gone);
}
