/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams whose first bytes are the header of the PROXY protocol. The handshake takes exactly the
 * header from the socket, which it looks at before it takes anything; then the stream becomes one
 * of the kind below, whose own handshake, if it has one, comes next.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/error.h"
#include "net/proxy_header.h"
#include "net/stream.h"

#define LOOK_BYTES 512

static int proxied_open(struct stream *stream, const void *context, struct error *err)
{
    (void)context;
    (void)err;
    stream->own = NEW(struct proxy_header);
    stream->is_relayed = true;
    return 0;
}

static void proxied_close(struct stream *stream)
{
    mem_free(stream->own);
    stream->own = NULL;
}

static ssize_t take_some(int fd, void *buffer, size_t capacity, int flags)
{
    ssize_t got;

    do {
        got = recv(fd, buffer, capacity, MSG_DONTWAIT | flags);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int fail(const struct proxy_header *header, struct error *err)
{
    /* Whoever only looks whether the port is open has nothing to say. */
    if (header->have == 0)
        (void)error_set(err, ERR_CANCELLED, "the peer left at once");
    else
        (void)error_set(err, ERR_INVALID, "the header of the PROXY protocol ended early");
    return -ECONNRESET;
}

/* From here on it is a stream of the kind below. */
static int become_inner(struct stream *stream, struct error *err)
{
    const struct stream_kind *inner = &stream_plain;
    const struct proxy_header *header = stream->own;

    if (header->client[0] != '\0')
        stream->peer = mem_strdup(header->client);
    proxied_close(stream);
    stream->ops = inner->ops;
    if (inner->ops->open && inner->ops->open(stream, inner->context, err) < 0)
        return -EPROTO;
    return stream_needs_handshake(stream) ? stream_handshake(stream, err) : 0;
}

static int proxied_handshake(struct stream *stream, struct error *err)
{
    struct proxy_header *header = stream->own;
    enum proxy_verdict verdict = PROXY_MORE;

    while (verdict == PROXY_MORE) {
        char bytes[LOOK_BYTES];
        const char *why = NULL;
        size_t used = 0;
        ssize_t got = take_some(stream->fd, bytes, sizeof(bytes), MSG_PEEK);

        if (got == -EAGAIN)
            return -EAGAIN;
        if (got <= 0)
            return fail(header, err);
        verdict = proxy_header_feed(header, slice_from(bytes, (size_t)got), &used, &why);
        if (verdict == PROXY_BAD) {
            (void)error_set(err, ERR_INVALID, "%s (listen: proxy_protocol)", why);
            return -EPROTO;
        }
        (void)take_some(stream->fd, bytes, used, 0);
    }
    return become_inner(stream, err);
}

static const struct stream_ops proxied_ops = {
    .open = proxied_open,
    .handshake = proxied_handshake,
    .close = proxied_close,
};

const struct stream_kind stream_proxied = {.ops = &proxied_ops};
