/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepts connections. The descriptor is shared with other processes, so it may have nothing to
 * accept although it was readable, and accepting one connection in a turn leaves some to the
 * others.
 *
 *   WATCHING ──above the share (at most ten times), or no memory──→ PAUSED (1 ms) ──→ WATCHING
 *
 * When no descriptor is free, the reserve is closed, one connection is accepted and closed, and the
 * reserve is opened again: the queue moves and the loop does not spin.
 */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/loop.h"
#include "socket_address.h"

#define PAUSE_MS           1
#define PAUSES_MAX         10 /* then it accepts the connection in spite of its share */
#define PAUSE_FAILED_MS    100
#define PAUSE_FORGOTTEN_MS 20
#define ALONE_MS           30   /* and for this long it accepts every connection */
#define DRAINED_MAX        4096 /* connections that are accepted at the end: the queue's length */

struct listener {
    struct loop *loop;
    int fd;
    int reserve;
    struct watch *watch;
    struct timer *pause;
    const struct stream_kind *stream;
    listener_accept_fn *on_accept;
    listener_pause_fn *should_pause;
    void *arg;
    unsigned pauses; /* in a row, for a connection that no other process took */
    struct monotime paused_at;
    struct monotime alone_until;
    bool is_stopped;
};

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void pause_for(struct listener *listener, uint64_t ms)
{
    watch_set(listener->watch, WATCH_NONE);
    timer_start(listener->pause, ms);
}

static void refuse_with_reserve(struct listener *listener)
{
    fd_close(&listener->reserve);
    int refused = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    fd_close(&refused);
    listener->reserve = open_reserve();
    if (refused < 0 && listener->reserve < 0)
        log_say(LOG_WARN, "no descriptor is left: new connections are closed");
    /* Further connections are closed as well until descriptors are free. */
    pause_for(listener, PAUSE_MS);
}

static void on_accept_failed(struct listener *listener, int sys)
{
    switch (sys) {
    case EMFILE:
    case ENFILE:
        refuse_with_reserve(listener);
        break;
    case ENOMEM:
    case ENOBUFS:
        pause_for(listener, PAUSE_FAILED_MS);
        break;
    default: /* another process took it, or it has gone: wait for the next */
        break;
    }
}

/* Above its share, this process leaves the connection to one with fewer. If none has taken it after
 * PAUSES_MAX pauses, the others are stuck, and for a while this one does not wait for them. A pause
 * that ended long ago was for another connection. */
static bool should_wait(struct listener *listener)
{
    struct monotime now = clock_mono();

    if (!listener->should_pause || !listener->should_pause(listener->arg))
        return false;
    if (now.ms < listener->alone_until.ms)
        return false;
    if (monotime_since(now, listener->paused_at) > PAUSE_FORGOTTEN_MS)
        listener->pauses = 0;
    if (listener->pauses < PAUSES_MAX) {
        listener->pauses++;
        listener->paused_at = now;
        return true;
    }
    listener->alone_until = monotime_add(now, ALONE_MS);
    return false;
}

/* 0, or a positive errno. */
static int accept_one(struct listener *listener)
{
    union socket_address peer = {0};
    socklen_t length = sizeof(peer);
    int fd = accept4(listener->fd, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return errno;
    int on = 1;
    char text[ADDRESS_TEXT_SIZE];
    if (peer.any.sa_family == AF_INET || peer.any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    socket_address_print(&peer, text);
    listener->on_accept(&fd, listener->stream, text, listener->arg);
    fd_close(&fd);
    return 0;
}

static void on_ready(unsigned ready, void *arg)
{
    struct listener *listener = arg;

    (void)ready;
    if (should_wait(listener)) {
        pause_for(listener, PAUSE_MS);
        return;
    }
    listener->pauses = 0;
    int sys = accept_one(listener);
    if (sys != 0)
        on_accept_failed(listener, sys);
}

static void on_pause_over(void *arg)
{
    struct listener *listener = arg;

    watch_set(listener->watch, WATCH_READ);
}

struct listener *listener_new(struct loop *loop, int *fd, const struct stream_kind *stream,
                              listener_accept_fn *on_accept, listener_pause_fn *should_pause,
                              void *arg)
{
    struct listener *listener = NEW(struct listener);

    listener->loop = loop;
    listener->fd = fd_take(fd);
    listener->reserve = open_reserve();
    listener->stream = stream;
    listener->on_accept = on_accept;
    listener->should_pause = should_pause;
    listener->arg = arg;
    listener->watch = watch_new(loop, listener->fd, on_ready, listener);
    listener->pause = timer_new(loop, on_pause_over, listener);
    watch_set(listener->watch, WATCH_READ);
    return listener;
}

void listener_drain(struct listener *listener)
{
    if (listener->is_stopped)
        return;
    listener->is_stopped = true;
    timer_stop(listener->pause);
    for (int sys = 0, left = DRAINED_MAX; left > 0; left--) {
        sys = accept_one(listener);
        if (sys != 0 && sys != EINTR && sys != ECONNABORTED)
            break;
    }
    watch_free(&listener->watch);
    fd_close(&listener->fd);
}

void listener_free(struct listener **listener_address)
{
    struct listener *listener = *listener_address;

    if (!listener)
        return;
    *listener_address = NULL;
    watch_free(&listener->watch);
    timer_free(&listener->pause);
    fd_close(&listener->fd);
    fd_close(&listener->reserve);
    mem_free(listener);
}
