/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seats and children. A seat is a (role, slot) that the server keeps filled; a child is one process
 * in it, made by fork and exec of this program, with a line to us on its descriptor 3. A seat has
 * one current child. Its predecessor may still be there while it ends: children are told apart by
 * their id, and by their generation where they share something (the metrics of their slot).
 */
#ifndef CHILD_PROCESS_H
#define CHILD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "backoff.h"
#include "base/clock.h"
#include "base/list.h"
#include "ipc/message.h"

struct channel;
struct error;
struct identity;
struct master;
struct timer;

struct seat {
    struct master *master;
    enum process_role role;
    unsigned slot;
    struct child *current; /* NULL: `restart` runs, or the seat is closed */
    struct timer *restart;
    struct backoff backoff;
    unsigned generations; /* children so far */
    unsigned failures;    /* to start one, since the last that was started */
    bool was_ever_ready;
    bool is_closed; /* not filled again: the server ends */
};

/*
 *   STARTING ── READY ──► READY        each: the process dies, and the child is freed
 *      │                    │
 *      │ too late           │ hangs, or its line is closed
 *      └──────► ENDING ◄────┘
 */
enum child_state {
    CHILD_STARTING, /* has a process and a line, and said nothing yet */
    CHILD_READY,
    CHILD_ENDING, /* nothing more is expected of it but its death */
    CHILD_STATES, /* count */
};

struct child {
    struct list link; /* of all children */
    struct seat *seat;
    uint64_t id;         /* no other child of this server ever has it; from 1 */
    unsigned generation; /* of its seat, from 0 */
    enum child_state state;
    pid_t pid;
    struct channel *line; /* owned; NULL: closed before the death was seen */
    struct monotime started;
    bool was_ready;
    bool is_draining; /* told to */
    unsigned ticks; /* that it has been waited for. Ticks are counted, not time, which jumps when a
                       machine sleeps */
    unsigned controls; /* CONTROL messages since the last tick */
};

/* Starts a process for the seat; *out_line is our end of its line. ERR_IO, ERR_BUSY: there is no
 * channel, or fork failed. */
int child_spawn(struct seat *seat, const struct identity *identity, uint64_t id, struct child **out,
                int *out_line, struct error *err);
/* Call it when the process is dead. */
void child_free(struct child *child);
/* NULL: it is dead. */
struct child *child_find(const struct list *children, uint64_t id);
/* The only place where a state changes; checks that the move is one of the picture. */
void child_set_state(struct child *child, enum child_state next);
/* "worker 2 (pid 17)" for the log. */
void child_print(const struct child *child, char out[64]);

#endif
