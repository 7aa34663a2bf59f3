/* SPDX-License-Identifier: Apache-2.0 */
/* What all kinds of streams have in common: they end in a socket. */
#include "net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "net/loop.h"

int stream_open(struct stream *stream, const struct stream_kind *kind, int *fd, struct error *err)
{
    *stream = (struct stream){
        .ops = kind->ops,
        .fd = fd_take(fd),
        .recv_wants = WATCH_READ,
        .send_wants = WATCH_WRITE,
    };
    int rc = kind->ops->open ? kind->ops->open(stream, kind->context, err) : 0;
    if (rc < 0)
        fd_close(&stream->fd);
    return rc;
}

void stream_close(struct stream *stream)
{
    if (stream->fd >= 0 && stream->ops->close)
        stream->ops->close(stream);
    mem_free(stream->peer);
    stream->peer = NULL;
    fd_close(&stream->fd);
}

uint64_t stream_unsent(const struct stream *stream)
{
    int bytes = 0;

    return ioctl(stream->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : 0;
}

void stream_set_reset(struct stream *stream)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

int stream_end(struct stream *stream)
{
    int rc = stream->ops->end ? stream->ops->end(stream) : 0;

    if (rc != -EAGAIN)
        (void)shutdown(stream->fd, SHUT_WR);
    return rc == -EAGAIN ? rc : 0;
}
