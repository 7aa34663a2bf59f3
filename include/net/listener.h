/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: made once by the master, shared by all workers. Each takes one connection a
 * turn, and pauses for a millisecond while it has more than its share of them. */
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

/* "0.0.0.0:32000", "[::]:32000" (dual stack), "127.0.0.1:0", "localhost:32000" (both loopbacks:
 * several sockets), "unix:/path". Binds and listens; *count descriptors in fds, with their real
 * addresses (port 0 resolved; the same port is used for both loopbacks). ERR_INVALID, ERR_IO. */
int listener_bind(struct slice address, int fds[LISTENER_SOCKETS_MAX],
                  char texts[LISTENER_SOCKETS_MAX][ADDRESS_TEXT_SIZE], unsigned *count,
                  struct error *err);

/* `fd` is taken over by the callback (set to -1), else closed. `stream` is the listener's. `peer`
 * is printable. */
typedef void listener_accept_fn(int *fd, const struct stream_kind *stream, const char *peer,
                                void *arg);
/* True: above the fair share, accept again in a millisecond. */
typedef bool listener_pause_fn(void *arg);
/* Takes the descriptor over. `stream` says how bytes are carried on what it accepts, and lives as
 * long as the listener. Survives EMFILE without spinning: keeps one descriptor in reserve, accepts
 * and closes. */
struct listener *listener_new(struct loop *loop, int *fd, const struct stream_kind *stream,
                              listener_accept_fn *on_accept, listener_pause_fn *should_pause,
                              void *arg);
void listener_stop(struct listener *listener); /* accepts no more; the socket stays open */
void listener_free(struct listener **listener);

#endif
