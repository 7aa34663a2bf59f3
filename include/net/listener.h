/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. The master makes them once and all workers share them. A worker accepts one
 * connection in a turn of its loop, and pauses for a millisecond while it has more than its share
 * of all connections. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct error;
struct listener;
struct loop;
struct stream_kind;

#define ADDRESS_TEXT_SIZE    128
#define LISTENER_SOCKETS_MAX 4 /* of one address */

/* The address that a socket is bound to, "HOST:PORT", "[HOST]:PORT" or "unix:PATH"; an IPv4 one of
 * a dual-stack socket as IPv4. */
int listener_print_address(int fd, char out[ADDRESS_TEXT_SIZE], struct error *err);
/* "0.0.0.0:32000", "[::]:32000" (dual stack), "127.0.0.1:0", "localhost:32000" (both loopbacks:
 * several sockets), "unix:/path". Binds and listens. Sets *count descriptors in `fds` and their
 * real addresses in `texts`: port 0 is replaced by the one the kernel chose, the same for both
 * loopbacks. ERR_INVALID, ERR_IO. */
int listener_bind(struct slice address, int fds[LISTENER_SOCKETS_MAX],
                  char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE], unsigned *count,
                  struct error *err);

/* The callback may take `fd` over by setting it to -1; otherwise it is closed. `stream` is the
 * listener's. `peer` is printable. */
typedef void listener_accept_fn(int *fd, const struct stream_kind *stream, const char *peer,
                                void *arg);
/* True: this worker has more than its share, so accept again in a millisecond. */
typedef bool listener_pause_fn(void *arg);
/* Takes the descriptor over. `stream` says how bytes are carried on the connections it accepts, and
 * lives as long as the listener. When no descriptor is left it does not spin: it closes one that it
 * keeps in reserve, accepts with it, and closes the connection. */
struct listener *listener_new(struct loop *loop, int *fd, const struct stream_kind *stream,
                              listener_accept_fn *on_accept, listener_pause_fn *should_pause,
                              void *arg);
/* Accepts what is queued (the callback comes from inside this call), then closes the socket: when
 * no process has it open any more, clients are refused. Harmless when it was called before. */
void listener_drain(struct listener *listener);
void listener_free(struct listener **listener);

#endif
