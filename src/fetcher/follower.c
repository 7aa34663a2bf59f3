/* SPDX-License-Identifier: Apache-2.0 */
/* See follower.h. */
#include "follower.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "ipc/channel.h"
#include "role.h"

/* Smaller answers are copied into each packet. */
#define PAYLOAD_MIN ((size_t)48 * 1024)

struct follower *follower_new(struct worker_link *worker, uint64_t request)
{
    if (map_find(worker->followers, map_key(&request)))
        return NULL;
    struct follower *follower = NEW(struct follower);
    list_init(&follower->link);
    follower->worker = worker;
    follower->request = request;
    map_set(worker->followers, map_key(&request), follower);
    return follower;
}

void follower_free(struct follower **follower)
{
    struct follower *gone = TAKE(*follower);

    list_remove(&gone->link);
    map_remove(gone->worker->followers, map_key(&gone->request));
    mem_free(gone);
}

void follower_send(struct follower *follower, enum message_type type, const void *message, int fd)
{
    channel_send(follower->worker->channel, type, message, fd);
}

int follower_payload_new(const struct message_answer *answer)
{
    struct error err;
    int fd = -1;

    if (answer->body.length < PAYLOAD_MIN ||
        channel_payload_new(MESSAGE_ANSWER, answer, &fd, &err) != 0)
        return -1;
    return fd;
}

void follower_answer(struct follower **follower, struct message_answer *answer, int payload_fd)
{
    struct channel *channel = (*follower)->worker->channel;

    answer->request = (*follower)->request;
    if (payload_fd >= 0)
        channel_send_payload(channel, MESSAGE_ANSWER, answer->request, payload_fd);
    else
        channel_send(channel, MESSAGE_ANSWER, answer, -1);
    follower_free(follower);
}

void follower_fail(struct follower **follower, const struct error *err, uint64_t retry_after)
{
    struct message_failed failed = {
        .request = (*follower)->request,
        .kind = (uint64_t)err->kind,
        .text = slice_of(err->text),
        .retry_after = retry_after,
    };

    follower_send(*follower, MESSAGE_FAILED, &failed, -1);
    follower_free(follower);
}

void follower_here(struct follower **follower)
{
    struct message_here here = {.request = (*follower)->request};

    follower_send(*follower, MESSAGE_HERE, &here, -1);
    follower_free(follower);
}

struct worker_link *worker_link_new(struct fetcher *fetcher, unsigned slot,
                                    const struct channel_handler *handler, int *fd)
{
    struct worker_link *worker = NEW(struct worker_link);

    worker->fetcher = fetcher;
    worker->slot = slot;
    worker->followers = map_new();
    worker->channel =
        channel_new(fetcher->options.loop, fd, (struct channel_ends){ROLE_FETCHER, ROLE_WORKER},
                    handler, worker);
    list_append(&fetcher->workers, &worker->link);
    return worker;
}

void worker_link_refuse(struct worker_link *worker, uint64_t request, const struct error *err)
{
    struct message_failed failed = {
        .request = request,
        .kind = (uint64_t)err->kind,
        .text = slice_of(err->text),
    };

    channel_send(worker->channel, MESSAGE_FAILED, &failed, -1);
}

void worker_link_leave(struct worker_link *worker, uint64_t request)
{
    struct follower *follower = map_find(worker->followers, map_key(&request));

    if (follower)
        follower->on_leave(follower);
}

static void leave_follower(struct slice key, void *value, void *arg)
{
    struct follower *follower = value;

    (void)key;
    (void)arg;
    follower->on_leave(follower);
}

void worker_link_free(struct worker_link **worker)
{
    struct worker_link *gone = TAKE(*worker);

    if (!gone)
        return;
    list_remove(&gone->link);
    map_each(gone->followers, leave_follower, NULL);
    map_free(&gone->followers);
    channel_free(&gone->channel);
    mem_free(gone);
}
