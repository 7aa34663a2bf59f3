/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one connection, plain TCP or a unix socket; TLS will stand behind the same calls. No
 * buffer and no waiting: a call does what can be done now.
 *
 * Results: bytes moved, or a negated errno (-EAGAIN: not now). stream_recv: 0 is the end.
 * stream_send_file: 0 is the end of the file.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stream {
    int fd; /* owned, non-blocking */
};

ssize_t stream_recv(struct stream *stream, void *buffer, size_t capacity);
/* Is there an error, or a reset by the peer, that nobody has noticed? */
bool stream_is_broken(struct stream *stream);
/* Has the peer sent its end, and nothing before it that was not read? */
bool stream_has_ended(struct stream *stream);
/* `more`: a file follows at once, do not send a packet for this alone. */
ssize_t stream_writev(struct stream *stream, struct iovec *pieces, size_t count, bool more);
ssize_t stream_send_file(struct stream *stream, int fd, uint64_t offset, size_t length);
/* Bytes that were given to the kernel and that the peer has not taken yet. */
uint64_t stream_unsent(const struct stream *stream);
/* The peer sees the end after what was sent. */
void stream_end(struct stream *stream);
void stream_close(struct stream *stream);
/* The peer will see a reset when the stream is closed. */
void stream_set_reset(struct stream *stream);

#endif
