/* SPDX-License-Identifier: Apache-2.0 */
/* Plain streams: one system call a call. */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "net/stream.h"

static ssize_t plain_recv(struct stream *stream, void *buffer, size_t capacity)
{
    ssize_t got;

    do {
        got = recv(stream->fd, buffer, capacity, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t plain_writev(struct stream *stream, struct iovec *pieces, size_t count, bool more)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent;

    do {
        sent = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static ssize_t plain_send_file(struct stream *stream, int fd, uint64_t offset, size_t length)
{
    off_t position = (off_t)offset;
    ssize_t sent;

    do {
        sent = sendfile(stream->fd, fd, &position, length);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static enum stream_peer plain_look(struct stream *stream)
{
    char byte;
    ssize_t got = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (got == 0)
        return STREAM_PEER_ENDED;
    if (got > 0)
        return STREAM_PEER_SENT;
    return errno == EAGAIN || errno == EINTR ? STREAM_PEER_QUIET : STREAM_PEER_BROKEN;
}

static const struct stream_ops plain_ops = {
    .recv = plain_recv,
    .writev = plain_writev,
    .send_file = plain_send_file,
    .look = plain_look,
};

const struct stream_kind stream_plain = {.ops = &plain_ops};
