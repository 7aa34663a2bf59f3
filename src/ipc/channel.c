/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel on the loop. It always reads. It writes at once if nothing is queued, else it queues.
 *
 *   OPEN ──── sending fails ──────► DEAF: messages to send are dropped; what the other side had
 *    │                               │    sent before is still read
 *    │ end of file, a malformed      │ end of file (it will come: our side is shut down)
 *    │ message, a lost one           │
 *    ▼                               ▼
 *   CLOSED: on_closed, on_failed or on_lied was called, once; no callback follows
 *
 * A queued CHANGED is overwritten by a newer one. So is a GREW, of the same request, as long as no
 * TAKEN for that request waits after it: the level belongs to the spool that was announced last.
 * A channel that is freed inside its own callback keeps its memory until the turn has ended.
 */
#include "ipc/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/varint.h"
#include "frame.h"
#include "net/loop.h"

#define MESSAGES_PER_TURN 64
#define RETRY_MS          10
/* A scratch buffer larger than this is not kept. */
#define SCRATCH_KEPT FRAME_INLINE_MAX

enum channel_state {
    CHANNEL_OPEN,
    CHANNEL_DEAF,
    CHANNEL_CLOSED,
};

struct queued {
    struct list link;
    struct frame frame; /* owns body and descriptors */
    uint64_t request;   /* the request of GREW and TAKEN */
};

struct channel {
    struct loop *loop; /* borrowed: outlives its channels */
    struct channel_ends ends;
    const struct channel_handler *handler;
    void *arg;
    int fd;
    enum channel_state state;
    struct watch *watch;
    struct timer *retry;
    struct list queue; /* of struct queued, in order */
    size_t queued;
    struct buf scratch; /* the message being encoded */
    char *buffer;       /* FRAME_BUFFER_SIZE, for receiving */
    bool has_failed;    /* by our own fault */
    bool has_lied;      /* the other side has */
    bool is_in_callback;
    bool is_freed;
};

int channel_pair(int out_fds[2], struct error *err)
{
    if (FAILPOINT("ipc.channel_pair"))
        return error_set_errno(err, EMFILE, "cannot make a channel");
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return error_set_errno(err, errno, "cannot make a channel");
    out_fds[0] = fds[0];
    out_fds[1] = fds[1];
    return 0;
}

static void queued_free(struct channel *channel, struct queued *queued)
{
    list_remove(&queued->link);
    channel->queued--;
    frame_cleanup(&queued->frame);
    mem_free(queued);
}

static void drop_queue(struct channel *channel)
{
    LIST_EACH (link, &channel->queue)
        queued_free(channel, LIST_ITEM(link, struct queued, link));
}

static void update_watch(struct channel *channel)
{
    unsigned events = WATCH_READ;

    if (channel->state == CHANNEL_CLOSED || channel->is_freed)
        events = WATCH_NONE;
    else if (!list_is_empty(&channel->queue) && !timer_is_running(channel->retry))
        events = WATCH_READ | WATCH_WRITE;
    watch_set(channel->watch, events);
}

/* States only go forward: open, deaf, closed. */
static void channel_set_state(struct channel *channel, enum channel_state next)
{
    CHECK(next > channel->state);
    channel->state = next;
}

/* Stops sending. Our side is shut down, so the end of file that leads to on_closed will follow. */
static void go_deaf(struct channel *channel)
{
    if (channel->state == CHANNEL_OPEN) {
        channel_set_state(channel, CHANNEL_DEAF);
        (void)shutdown(channel->fd, SHUT_RDWR);
    }
    drop_queue(channel);
}

/* Sends from the queue until it is empty or the socket is full. */
static enum frame_result write_queue(struct channel *channel)
{
    while (!list_is_empty(&channel->queue)) {
        struct queued *first = LIST_ITEM(channel->queue.next, struct queued, link);
        enum frame_result result = frame_send(channel->fd, &first->frame);

        if (result == FRAME_BROKEN)
            go_deaf(channel);
        else if (result != FRAME_DONE)
            return result;
        else
            queued_free(channel, first);
    }
    return FRAME_DONE;
}

static void on_channel_writable(struct channel *channel)
{
    if (write_queue(channel) == FRAME_RETRY)
        timer_start(channel->retry, RETRY_MS);
    update_watch(channel);
}

static void on_channel_retry(void *arg)
{
    struct channel *channel = (struct channel *)arg;

    on_channel_writable(channel);
}

static void close_channel(struct channel *channel)
{
    channel_set_state(channel, CHANNEL_CLOSED);
    drop_queue(channel);
    timer_stop(channel->retry);
    update_watch(channel);
    const struct channel_handler *handler = channel->handler;
    bool is_other_alive = channel->has_failed || channel->has_lied;
    if (channel->has_lied && !channel->has_failed && handler->on_lied)
        handler->on_lied(channel, channel->arg);
    else if (is_other_alive && handler->on_failed)
        handler->on_failed(channel, channel->arg);
    else
        handler->on_closed(channel, channel->arg);
}

/* The other side is alive, and will believe that we are dead. */
static void note_failure(struct channel *channel, const char *what)
{
    channel->has_failed = true;
    log_say(LOG_ERROR, "out of descriptors or memory for a message %s another process", what);
}

/* A message is lost here, so the channel ends as a failure of ours. */
static void fail_sending(struct channel *channel)
{
    note_failure(channel, "to");
    go_deaf(channel);
}

void channel_end_process(struct channel *channel, void *arg)
{
    (void)arg;
    log_say(LOG_ERROR, "a channel to a living process is lost: exiting");
    loop_stop(channel->loop);
}

/* A role may send only its own messages, also if it was taken over by a client. */
static bool may_take(const struct channel *channel, enum message_type type)
{
    if (message_may_pass(type, channel->ends.other, channel->ends.self))
        return true;
    log_say(LOG_ERROR, "the %s sent %s, which it may not send to the %s",
            process_role_name(channel->ends.other), message_name(type),
            process_role_name(channel->ends.self));
    return false;
}

static void on_channel_readable(struct channel *channel)
{
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        struct frame frame;
        enum frame_result result = frame_receive(channel->fd, channel->buffer, &frame);

        if (result == FRAME_LATER)
            return;
        if (result == FRAME_LOST) {
            note_failure(channel, "from");
        } else if (result == FRAME_BROKEN) {
            log_say(LOG_ERROR, "malformed message from the %s",
                    process_role_name(channel->ends.other));
        } else if (result == FRAME_DONE && !may_take(channel, frame.type)) {
            frame_cleanup(&frame);
            result = FRAME_BROKEN;
        }
        if (result != FRAME_DONE) {
            channel->has_lied = result == FRAME_BROKEN;
            close_channel(channel);
            return;
        }
        channel->handler->on_message(channel, frame.type, frame.body, &frame.fd, channel->arg);
        frame_cleanup(&frame);
        if (channel->is_freed)
            return;
    }
}

static void on_channel_event(unsigned ready, void *arg)
{
    struct channel *channel = (struct channel *)arg;

    if ((ready & WATCH_WRITE) != 0)
        on_channel_writable(channel);
    if ((ready & WATCH_READ) != 0) {
        channel->is_in_callback = true;
        on_channel_readable(channel);
        channel->is_in_callback = false;
    }
}

struct channel *channel_new(struct loop *loop, int *fd, struct channel_ends ends,
                            const struct channel_handler *handler, void *arg)
{
    struct channel *channel = NEW(struct channel);

    channel->loop = loop;
    channel->ends = ends;
    channel->handler = handler;
    channel->arg = arg;
    channel->fd = fd_take(fd);
    channel->buffer = (char *)mem_alloc(FRAME_BUFFER_SIZE);
    list_init(&channel->queue);
    buf_init(&channel->scratch, FRAME_BODY_MAX);
    channel->retry = timer_new(loop, on_channel_retry, channel);
    channel->watch = watch_new(loop, channel->fd, on_channel_event, channel);
    update_watch(channel);
    return channel;
}

static void destroy_channel(void *arg)
{
    struct channel *channel = (struct channel *)arg;

    timer_free(&channel->retry);
    watch_free(&channel->watch);
    fd_close(&channel->fd);
    buf_cleanup(&channel->scratch);
    mem_free(channel->buffer);
    mem_free(channel);
}

bool channel_end_is_closed(int fd)
{
    struct pollfd end = {.fd = fd};

    return poll(&end, 1, 0) == 1 && (end.revents & POLLHUP) != 0;
}

bool channel_is_closed(const struct channel *channel)
{
    return channel->state == CHANNEL_CLOSED || channel_end_is_closed(channel->fd);
}

void channel_free(struct channel **channel_address)
{
    struct channel *channel = *channel_address;

    *channel_address = NULL;
    if (!channel || channel->is_freed)
        return;
    channel->is_freed = true;
    drop_queue(channel);
    timer_stop(channel->retry);
    update_watch(channel);
    if (channel->is_in_callback)
        loop_defer(channel->loop, destroy_channel, channel);
    else
        destroy_channel(channel);
}

/* The number by which GREW and TAKEN are matched; 0 for others. */
static uint64_t request_of(enum message_type type, const void *message)
{
    if (type == MESSAGE_GREW)
        return ((const struct message_grew *)message)->request;
    if (type == MESSAGE_TAKEN)
        return ((const struct message_taken *)message)->request;
    return 0;
}

/* Messages that are levels: only the newest matters. */
static bool is_level(enum message_type type)
{
    return type == MESSAGE_GREW || type == MESSAGE_CHANGED;
}

/* The queued level that a newer one of the same type and request may overwrite, or NULL. */
static struct queued *find_level(struct channel *channel, enum message_type type, uint64_t request)
{
    for (struct list *link = channel->queue.previous; link != &channel->queue;
         link = link->previous) {
        struct queued *queued = LIST_ITEM(link, struct queued, link);

        if (queued->frame.type == type && queued->request == request)
            return queued;
        if (type == MESSAGE_GREW && queued->frame.type == MESSAGE_TAKEN &&
            queued->request == request)
            return NULL;
    }
    return NULL;
}

static struct queued *queued_new(struct frame frame, uint64_t request)
{
    size_t length = frame.body.length;
    /* the body follows the struct */
    struct queued *queued = (struct queued *)mem_alloc(sizeof(struct queued) + length);
    char *place = (char *)(queued + 1);

    queued->frame = frame;
    queued->request = request;
    if (length > 0)
        memcpy(place, frame.body.data, length);
    queued->frame.body = slice_from(place, length);
    return queued;
}

/* The body is in the scratch buffer and the descriptor is the caller's: both are copied. */
static void queue_frame(struct channel *channel, struct frame frame, uint64_t request)
{
    struct error err;
    int fd = -1;

    if (frame.fd >= 0 && fd_dup(frame.fd, &fd, &err) != 0) {
        /* the receiver would take it for a message without a descriptor */
        fd_close(&frame.payload_fd);
        fail_sending(channel);
        return;
    }
    frame.fd = fd;
    struct queued *queued = queued_new(frame, request);
    struct queued *older = is_level(frame.type) ? find_level(channel, frame.type, request) : NULL;
    if (older) {
        list_append(&older->link, &queued->link); /* in its place */
        queued_free(channel, older);
    } else {
        list_append(&channel->queue, &queued->link);
    }
    channel->queued++;
}

/* Sends to the socket, or queues what the socket does not take now. */
static void send_frame(struct channel *channel, struct frame *frame, uint64_t request)
{
    enum frame_result result = FRAME_LATER;

    if (list_is_empty(&channel->queue))
        result = frame_send(channel->fd, frame);
    if (result == FRAME_DONE) {
        fd_close(&frame->payload_fd);
        return;
    }
    if (result == FRAME_BROKEN) {
        fd_close(&frame->payload_fd);
        go_deaf(channel);
        return;
    }
    queue_frame(channel, *frame, request);
    if (result == FRAME_RETRY)
        timer_start(channel->retry, RETRY_MS);
}

void channel_send(struct channel *channel, enum message_type type, const void *message, int fd)
{
    CHECK(!channel->is_freed);
    if (channel->state != CHANNEL_OPEN)
        return;
    CHECK(message_may_pass(type, channel->ends.self, channel->ends.other));
    buf_clear(&channel->scratch);
    message_encode(type, message, &channel->scratch);
    CHECK(!channel->scratch.is_over);
    struct frame frame = {
        .type = type, .body = buf_bytes(&channel->scratch), .fd = fd, .payload_fd = -1};
    send_frame(channel, &frame, request_of(type, message));
    if (channel->scratch.capacity > SCRATCH_KEPT)
        buf_cleanup(&channel->scratch);
    update_watch(channel);
}

int channel_payload_new(enum message_type type, const void *message, int *out_fd, struct error *err)
{
    AUTO_BUF struct buf encoded;
    uint64_t first = 0;

    buf_init(&encoded, FRAME_BODY_MAX);
    message_encode(type, message, &encoded);
    CHECK(!encoded.is_over);
    struct slice rest = buf_bytes(&encoded);
    CHECK(varint_cut(&rest, &first));
    return fd_memory_file("entrepot-message", rest, out_fd, err);
}

void channel_send_payload(struct channel *channel, enum message_type type, uint64_t first,
                          int payload_fd)
{
    struct frame frame = {.type = type, .fd = -1, .payload_fd = -1, .is_split = true};
    struct error err;

    CHECK(!channel->is_freed);
    if (channel->state != CHANNEL_OPEN)
        return;
    buf_clear(&channel->scratch);
    varint_append(&channel->scratch, first);
    frame.body = buf_bytes(&channel->scratch);
    if (fd_dup(payload_fd, &frame.payload_fd, &err) == 0)
        send_frame(channel, &frame, 0);
    else
        fail_sending(channel);
    update_watch(channel);
}

size_t channel_queued(const struct channel *channel)
{
    return channel->queued;
}

void channel_flush(struct channel *channel, unsigned wait_ms)
{
    uint64_t deadline = clock_mono_us() + (uint64_t)wait_ms * 1000;

    for (;;) {
        enum frame_result result = write_queue(channel);
        uint64_t now = clock_mono_us();

        if (result == FRAME_DONE || now >= deadline)
            break;
        int left_ms = (int)((deadline - now) / 1000) + 1;
        struct pollfd ready = {.fd = channel->fd, .events = POLLOUT};
        bool is_full = result == FRAME_LATER;
        int count = poll(&ready, is_full ? 1 : 0, is_full ? left_ms : RETRY_MS);
        if (is_full && count == 0)
            break;
    }
    update_watch(channel);
}
