/* SPDX-License-Identifier: Apache-2.0 */
/* See keeper_link.h. */
#include "keeper_link.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "gate.h"
#include "ipc/channel.h"
#include "role.h"
#include "store/ledger.h"

#define UNASKED_MAX 10000
#define BODY_MAX    (16ul * 1024 * 1024)

struct keeper_link {
    struct fetcher *fetcher;
    struct channel *channel; /* NULL while there is no keeper */
    struct list requests;    /* in the order of their first sending */
    struct map *by_number;
    uint64_t last_number;
    uint64_t barrier; /* number of the one under way, 0: none */
};

struct keeper_request {
    struct list link;
    enum message_type type;
    uint64_t number;
    struct buf body; /* encoded, with repeated = 0 */
    keeper_fn *fn;
    void *arg;
};

union keeper_message {
    struct message_blob_stored blob_stored;
    struct message_link link;
    struct message_manifest_stored manifest_stored;
    struct message_tag_checked tag_checked;
};

static struct slice key_of(const uint64_t *number)
{
    return slice_from(number, sizeof(*number));
}

static void request_free(struct keeper_link *link, struct keeper_request *request)
{
    list_remove(&request->link);
    map_remove(link->by_number, key_of(&request->number));
    buf_cleanup(&request->body);
    mem_free(request);
}

/* ---- answers ---- */

static void request_ended(struct keeper_link *link, uint64_t number, const struct error *err)
{
    if (number == link->barrier && number != 0) {
        link->barrier = 0;
        fetcher_open_gate(link->fetcher);
        return;
    }
    struct keeper_request *request = map_find(link->by_number, key_of(&number));
    if (!request)
        return;
    keeper_fn *fn = request->fn;
    void *arg = request->arg;
    if (err) {
        struct log_line line;
        log_begin(&line, LOG_WARN);
        log_text(&line, "message", message_name(request->type));
        log_end(&line, "the keeper refused: %s", err->text);
    }
    request_free(link, request);
    if (fn)
        fn(err, arg);
    fetcher_check_drained(link->fetcher);
}

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    struct keeper_link *link = arg;
    struct error err;

    (void)channel;
    fd_close(fd); /* the keeper sends none */
    if (type == MESSAGE_DONE) {
        struct message_done done;
        if (message_decode(type, body, &done, &err) == 0)
            request_ended(link, done.request, NULL);
    } else if (type == MESSAGE_REFUSED) {
        struct message_refused refused;
        if (message_decode(type, body, &refused, &err) != 0)
            return;
        enum error_kind kind = ERR_INTERNAL;
        if (refused.kind > ERR_NONE && refused.kind < ERR_KINDS)
            kind = (enum error_kind)refused.kind;
        error_set(&err, kind, "%.*s", SLICE_PRINT(refused.text));
        request_ended(link, refused.request, &err);
    }
}

static void on_closed(struct channel *channel, void *arg)
{
    struct keeper_link *link = arg;
    (void)channel;
    channel_free(&link->channel);
    link->barrier = 0;
}

static const struct channel_handler keeper_handler = {
    .on_message = on_message,
    .on_closed = on_closed,
    .on_failed = channel_end_process,
};

/* ---- requests ---- */

/* `repeated` has the same meaning in all of them, not the same place in memory. */
static void mark_repeated(enum message_type type, union keeper_message *message)
{
    if (type == MESSAGE_BLOB_STORED) {
        message->blob_stored.repeated = 1;
    } else if (type == MESSAGE_LINK) {
        message->link.repeated = 1;
    } else if (type == MESSAGE_MANIFEST_STORED) {
        message->manifest_stored.repeated = 1;
    } else {
        message->tag_checked.repeated = 1;
    }
}

static void send_request(struct keeper_link *link, struct keeper_request *request, bool is_again)
{
    union keeper_message message;
    struct error err;

    if (!link->channel)
        return;
    CHECK(message_decode(request->type, buf_bytes(&request->body), &message, &err) == 0);
    if (is_again)
        mark_repeated(request->type, &message);
    channel_send(link->channel, request->type, &message, -1);
}

static uint64_t newest_seen(struct fetcher *fetcher)
{
    struct ledger_txn *txn = ledger_read(fetcher->reader);
    uint64_t number = ledger_commit_number(txn);
    ledger_read_end(fetcher->reader);
    return number;
}

static void encode(struct keeper_request *request, const void *message, uint64_t seen)
{
    const struct slice actor = SLICE_LITERAL("fetcher - -");
    struct buf *out = &request->body;

    if (request->type == MESSAGE_BLOB_STORED) {
        struct message_blob_stored copy = *(const struct message_blob_stored *)message;
        copy.request = request->number;
        copy.seen = seen;
        copy.actor = actor;
        message_encode(request->type, &copy, out);
    } else if (request->type == MESSAGE_LINK) {
        struct message_link copy = *(const struct message_link *)message;
        copy.request = request->number;
        copy.seen = seen;
        copy.actor = actor;
        message_encode(request->type, &copy, out);
    } else if (request->type == MESSAGE_MANIFEST_STORED) {
        struct message_manifest_stored copy = *(const struct message_manifest_stored *)message;
        copy.request = request->number;
        copy.seen = seen;
        copy.actor = actor;
        message_encode(request->type, &copy, out);
    } else {
        CHECK(request->type == MESSAGE_TAG_CHECKED);
        struct message_tag_checked copy = *(const struct message_tag_checked *)message;
        copy.request = request->number;
        copy.seen = seen;
        copy.actor = actor;
        message_encode(request->type, &copy, out);
    }
    CHECK(!out->is_over);
}

void keeper_link_send(struct keeper_link *link, enum message_type type, const void *message,
                      keeper_fn *fn, void *arg)
{
    /* Without a keeper for long: what nobody waits for is only news that will come again. */
    if (!fn && map_count(link->by_number) >= UNASKED_MAX)
        return;
    struct keeper_request *request = NEW(struct keeper_request);
    request->type = type;
    request->number = ++link->last_number;
    request->fn = fn;
    request->arg = arg;
    buf_init(&request->body, BODY_MAX);
    encode(request, message, newest_seen(link->fetcher));
    list_append(&link->requests, &request->link);
    map_set(link->by_number, key_of(&request->number), request);
    send_request(link, request, false);
}

void keeper_link_forget(struct keeper_link *link, const void *arg)
{
    LIST_EACH (item, &link->requests) {
        struct keeper_request *request = LIST_ITEM(item, struct keeper_request, link);
        if (request->arg == arg)
            request->fn = NULL;
    }
}

size_t keeper_link_pending(const struct keeper_link *link)
{
    return map_count(link->by_number);
}

/* ---- life ---- */

struct keeper_link *keeper_link_new(struct fetcher *fetcher)
{
    struct keeper_link *link = NEW(struct keeper_link);
    link->fetcher = fetcher;
    link->by_number = map_new();
    list_init(&link->requests);
    return link;
}

void keeper_link_free(struct keeper_link **link)
{
    struct keeper_link *gone = TAKE(*link);

    if (!gone)
        return;
    if (gone->channel)
        channel_flush(gone->channel, 100);
    channel_free(&gone->channel);
    LIST_EACH (item, &gone->requests) {
        request_free(gone, LIST_ITEM(item, struct keeper_request, link));
    }
    map_free(&gone->by_number);
    mem_free(gone);
}

void keeper_link_set_channel(struct keeper_link *link, int *fd)
{
    channel_free(&link->channel);
    link->channel = channel_new(link->fetcher->options.loop, fd, &keeper_handler, link);
    link->barrier = ++link->last_number;
    struct message_barrier barrier = {.request = link->barrier};
    channel_send(link->channel, MESSAGE_BARRIER, &barrier, -1);
    LIST_EACH (item, &link->requests) {
        send_request(link, LIST_ITEM(item, struct keeper_request, link), true);
    }
}
