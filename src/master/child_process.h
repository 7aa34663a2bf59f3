/* SPDX-License-Identifier: Apache-2.0 */
/* One process of ours: fork, exec of this program, and the line to it on descriptor 3. */
#ifndef CHILD_PROCESS_H
#define CHILD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "backoff.h"
#include "base/clock.h"
#include "ipc/message.h"

struct channel;
struct error;
struct identity;
struct timer;

/*
 *             spawn            READY
 *   DOWN ──────────► STARTING ───────► READY
 *    ▲                  │ died           │ died
 *    └──── after its ◄──┴────────────────┘
 *          delay        (while draining, or at a start that failed: GONE)
 */
enum child_state {
    CHILD_DOWN,     /* never started, or died; its timer starts it */
    CHILD_STARTING, /* has a pid and a line, said nothing yet */
    CHILD_READY,
    CHILD_GONE,   /* not started again */
    CHILD_STATES, /* count */
};

struct child {
    enum process_role role;
    unsigned slot;
    enum child_state state;
    pid_t pid;            /* 0: none */
    struct channel *line; /* owned; NULL: none, or closed before the death was seen */
    struct timer *restart;
    struct backoff backoff;
    struct monotime started;
    unsigned unanswered; /* pings in a row; ticks are counted, not time, which jumps when a machine
                            slept */
    bool was_ever_ready;
    bool is_stopping; /* told to drain */
    void *owner;
};

/* The only place where a state changes; checks that the move is one of the picture. */
void child_set_state(struct child *child, enum child_state next);
/* A new process in that role; *out_line is our end. */
int child_spawn(const struct child *child, const struct identity *identity, pid_t *out_pid,
                int *out_line, struct error *err);
/* "worker 2 (pid 17)" for the log. */
void child_print(const struct child *child, char out[64]);

#endif
