/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who speaks to the keeper. A peer is a role and slot, a line one incarnation of it:
 *
 *   WAITING ── its predecessor's last message was read ──► OPEN ── end of file ──► CLOSED
 *          └── or (workers) a second has passed ─────────►
 *
 * A worker that drains beside its successor keeps its line open: hence the second. A closed line
 * stays until its requests have their outcome.
 */
#ifndef KEEPER_PEERS_H
#define KEEPER_PEERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "ipc/message.h"

struct line;
struct loop;
struct peers;

typedef void peers_message_fn(struct line *line, enum message_type type, struct slice body,
                              void *arg);

struct peers *peers_new(struct loop *loop, peers_message_fn *on_message, void *arg);
/* Closes all lines; each is freed with its last request (line_unref). */
void peers_free(struct peers **peers);
void peers_add(struct peers *peers, enum process_role role, unsigned slot, int *fd);
/* Until what was sent is written, at most wait_ms for each. */
void peers_flush(struct peers *peers, unsigned wait_ms);

/* A request of the line waits for its outcome. */
void line_ref(struct line *line);
void line_unref(struct line *line);
/* Requests that wait for theirs. */
size_t line_requests(const struct line *line);
enum process_role line_role(const struct line *line);
/* Dropped when the line is closed. */
void line_send(struct line *line, enum message_type type, const void *message);

#endif
