/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one connection. A listener has a stream_kind, and the connections that it accepts
 * get streams of that kind. stream_plain is a bare TCP or unix socket: each call is one system
 * call, and nothing is allocated. A kind that encrypts adds a table of operations; nothing above it
 * changes.
 *
 * No call waits. Results are bytes moved, or a negated errno. After -EAGAIN the stream says which
 * event to wait for before the same call is made again: recv_wants for stream_recv and
 * stream_handshake, send_wants for stream_writev, stream_send_file and stream_end. They are
 * WATCH_READ and WATCH_WRITE as a rule, but an encrypted stream may have to read while it sends,
 * and to write while it receives.
 *
 * After -EAGAIN from a send, the next send must begin with the same bytes.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct error;
struct stream;

/* What is known of the peer without taking bytes from the stream. */
enum stream_peer {
    STREAM_PEER_QUIET,  /* it sent nothing that was not received */
    STREAM_PEER_SENT,   /* there is something to receive */
    STREAM_PEER_ENDED,  /* it has ended its side, and all it sent was received */
    STREAM_PEER_BROKEN, /* the connection is broken: a reset, for example */
};

/* The operations of a kind of stream. All but the first four may be NULL: there is nothing to do
 * then, and nothing is pending. During the handshake only it, end and close are called; it may make
 * the stream one of another kind. */
struct stream_ops {
    ssize_t (*recv)(struct stream *stream, void *buffer, size_t capacity);
    ssize_t (*writev)(struct stream *stream, struct iovec *pieces, size_t count, bool more);
    ssize_t (*send_file)(struct stream *stream, int fd, uint64_t offset, size_t length);
    enum stream_peer (*look)(struct stream *stream);
    bool (*has_pending)(const struct stream *stream);
    /* Sets stream->own. The descriptor is connected and non-blocking. */
    int (*open)(struct stream *stream, const void *context, struct error *err);
    int (*handshake)(struct stream *stream, struct error *err);
    /* Tells the peer that no more comes; the socket is shut down for writing afterwards. */
    int (*end)(struct stream *stream);
    void (*close)(struct stream *stream); /* frees stream->own; the descriptor is still open */
};

/* What a listener has: the operations, and what they need to open a stream (certificates, say).
 * Lives longer than its streams. */
struct stream_kind {
    const struct stream_ops *ops;
    const void *context;
};

/* A bare socket. */
extern const struct stream_kind stream_plain;
/* A bare socket on which a proxy first says whose connection it is (net/proxy_header.h); malformed
 * or missing: the handshake fails, with ERR_CANCELLED when nothing came at all. */
extern const struct stream_kind stream_proxied;

/* One connection's. */
struct stream {
    const struct stream_ops *ops;
    void *own; /* what the kind keeps */
    int fd;    /* owned, non-blocking */
    unsigned char recv_wants;
    unsigned char send_wants;
    bool is_relayed; /* a proxy made the connection, for a client or for itself */
    char *peer;      /* whom the handshake found to be the client; NULL: the socket's peer; owned */
};

/* Takes the descriptor over, also on failure, when it is closed. 0 or a negated error_kind. */
int stream_open(struct stream *stream, const struct stream_kind *kind, int *fd, struct error *err);
/* Sends nothing any more. Harmless on a closed stream. */
void stream_close(struct stream *stream);
/* Bytes that the kernel has and the peer has not acknowledged yet. */
uint64_t stream_unsent(const struct stream *stream);
/* The peer will see a reset when the stream is closed. */
void stream_set_reset(struct stream *stream);
/* The peer sees the end after what was sent. 0: done, or the connection is broken; -EAGAIN: call it
 * again. */
int stream_end(struct stream *stream);

/* Must a handshake be made before the first byte? */
static inline bool stream_needs_handshake(const struct stream *stream)
{
    return stream->ops->handshake;
}

/* 0: done; -EAGAIN: to be continued; another negated errno: it failed, and *err says why. */
static inline int stream_handshake(struct stream *stream, struct error *err)
{
    return stream->ops->handshake(stream, err);
}

/* 0 is the end. */
static inline ssize_t stream_recv(struct stream *stream, void *buffer, size_t capacity)
{
    return stream->ops->recv(stream, buffer, capacity);
}

/* Bytes were taken from the socket and not received yet: no event will report them. */
static inline bool stream_has_pending(const struct stream *stream)
{
    return stream->ops->has_pending && stream->ops->has_pending(stream);
}

static inline enum stream_peer stream_look(struct stream *stream)
{
    return stream->ops->look(stream);
}

/* `more`: a file follows at once, do not send a packet for this alone. The vectors may be changed;
 * the bytes are not. */
static inline ssize_t stream_writev(struct stream *stream, struct iovec *pieces, size_t count,
                                    bool more)
{
    return stream->ops->writev(stream, pieces, count, more);
}

/* 0 is the end of the file. */
static inline ssize_t stream_send_file(struct stream *stream, int fd, uint64_t offset,
                                       size_t length)
{
    return stream->ops->send_file(stream, fd, offset, length);
}

#endif
