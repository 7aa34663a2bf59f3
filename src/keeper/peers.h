/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that speak to the keeper. A peer is a role and slot; a line is one incarnation of
 * it:
 *
 *   WAITING ── no line before it holds it up ──► OPEN ── end of file ──► CLOSED
 *
 * A dead predecessor's last messages are read before a successor's first. A worker's line waits for
 * its predecessors that are dead, until all they sent was read; one that lives, and drains, holds
 * up nobody. A fetcher's line waits for all its predecessors. A closed line stays until its orders
 * have their outcome.
 */
#ifndef KEEPER_PEERS_H
#define KEEPER_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "ipc/message.h"

struct peer_line;
struct loop;
struct peers;

typedef void peers_message_fn(struct peer_line *line, enum message_type type, struct slice body,
                              void *arg);

typedef void peers_lied_fn(const struct peer_line *line, void *arg);

/* `on_lied`: the process of that line sent nonsense, and the line is closed. */
struct peers *peers_new(struct loop *loop, peers_message_fn *on_message, peers_lied_fn *on_lied,
                        void *arg);
/* Closes all lines. A line lives on until its last order is done (peer_line_unref). */
void peers_free(struct peers **peers);
/* A new incarnation; takes the descriptor over. `id` is the process's, see message PEER. */
void peers_add(struct peers *peers, enum process_role role, unsigned slot, uint64_t id, int *fd);
/* CHANGED to all lines that watch. */
void peers_announce(struct peers *peers, uint64_t number);
/* Waits until all messages are written, at most wait_ms for each line. */
void peers_flush(struct peers *peers, unsigned wait_ms);

/* The line has one more order without an outcome. */
void peer_line_ref(struct peer_line *line);
void peer_line_unref(struct peer_line *line);
/* Orders without an outcome. */
size_t peer_line_orders(const struct peer_line *line);
enum process_role peer_line_role(const struct peer_line *line);
uint64_t peer_line_id(const struct peer_line *line);
/* From now on the line is told of changes. */
void peer_line_watch(struct peer_line *line);
/* The message is dropped when the line is closed. */
void peer_line_send(struct peer_line *line, enum message_type type, const void *message);

#endif
