/* SPDX-License-Identifier: Apache-2.0 */
/* Plain streams: one system call a call. */
#include "stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "base/fd.h"

ssize_t stream_recv(struct stream *stream, void *buffer, size_t capacity)
{
    ssize_t got;
    do {
        got = recv(stream->fd, buffer, capacity, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

bool stream_is_broken(struct stream *stream)
{
    char byte;
    ssize_t got = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && errno != EAGAIN && errno != EINTR;
}

bool stream_has_ended(struct stream *stream)
{
    char byte;
    return recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

ssize_t stream_writev(struct stream *stream, struct iovec *pieces, size_t count, bool more)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent;
    do {
        sent = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t stream_send_file(struct stream *stream, int fd, uint64_t offset, size_t length)
{
    ssize_t sent;
    off_t position = (off_t)offset;
    do {
        sent = sendfile(stream->fd, fd, &position, length);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

uint64_t stream_unsent(const struct stream *stream)
{
    int bytes = 0;
    return ioctl(stream->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : 0;
}

void stream_end(struct stream *stream)
{
    (void)shutdown(stream->fd, SHUT_WR);
}

void stream_close(struct stream *stream)
{
    fd_close(&stream->fd);
}

void stream_set_reset(struct stream *stream)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}
