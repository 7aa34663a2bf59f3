/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's state, and how its files share the work. Each may call those below it:
 *
 *   master.c      set-up, signals, what children say
 *   control.c     what children may ask for
 *   reload.c      another configuration
 *   supervise.c   starting, noticing deaths and hangs, starting again
 *   drain.c       stopping, role by role        rendezvous.c  channels between children
 *   control_socket.c  the administrator's socket, and who starts when somebody connects
 *   sealed_config.c  what children get          child_process.c  one child
 *   proxy_lines.c    what the log says of proxies
 *   secret_files.c   passwords and certificates that change
 */
#ifndef MASTER_STATE_H
#define MASTER_STATE_H

#include "base/clock.h"
#include "base/list.h"
#include "child_process.h"
#include "listeners.h"
#include "master/master.h"
#include "role_policy.h"

struct config;
struct loop;

#define SEATS_MAX (WORKERS_MAX + ROLES)

enum master_phase {
    PHASE_STARTING, /* until all seats were ready once */
    PHASE_RUNNING,
    PHASE_DRAINING, /* master->drain_order says which roles */
};

/* A configuration, and the two memory files that children get of it. */
struct sealed_config {
    struct config *config; /* a reference */
    int fd;                /* without the credentials of upstreams */
    int secret_fd;
};

struct master {
    struct master_options options;
    struct loop *loop;
    enum master_phase phase;
    unsigned drain_order; /* while draining: the roles that are being drained */
    int status;           /* exit status */
    struct listeners listeners;
    struct sealed_config sealed; /* what new children get */
    struct sealed_config next;   /* its config is NULL unless a reload waits for its judge */
    uint64_t next_judge;         /* the id of the child that judges it */
    uint64_t next_number;        /* of the CONFIG that this child got */
    uint64_t config_number;      /* of the last CONFIG that was made */
    int metrics_fd;
    struct seat seats[SEATS_MAX];
    size_t seat_count;
    struct list children;        /* struct child: all processes that live */
    struct list appointments;    /* of children that have no channel yet, see rendezvous.c */
    uint64_t ids;                /* given to children so far */
    struct watch *control_watch; /* while nobody serves the administrator's socket */
    bool is_control_missed;      /* it could not be had, and the log says so */
    struct timer *tick;
    struct timer *hard_limit;
    uint64_t ping_number;
    struct monotime drain_began;
    uint64_t drain_delay_ms; /* workers accept clients for so long after that */
    /* master.c's: a child has become ready; a child said what supervise.c does not know. */
    void (*on_child_ready)(struct child *child);
    void (*on_child_message)(struct child *child, enum message_type type, struct slice body);
};

/* ---- supervise.c ---- */
void supervise_start(struct seat *seat);
/* Starts a child in every seat that is empty, not closed, and not waiting for its restart. */
void supervise_start_missing(struct master *master);
void supervise_reap(struct master *master);
void supervise_tick(struct master *master);
/* Kills the process; its seat is filled again as after any death. `why` goes to the log. */
void supervise_kill(struct child *child, const char *why);

/* ---- rendezvous.c ---- */
/* Makes a channel between the newcomer and every child of another role. */
void rendezvous(struct master *master, struct child *newcomer);
/* Tries again where none could be made. */
void rendezvous_tick(struct master *master);
void rendezvous_forget_all(struct master *master);

/* ---- reload.c ---- */
/* Reads the configuration again. If it is right it is given to its judge, and then to all. */
void reload_begin(struct master *master);
void reload_on_judged(struct child *judge, struct slice body);
void reload_tick(struct master *master);

/* ---- control_socket.c ---- */
/* Binds it, once the keeper has the folder. When that fails the log says why, control_socket_tick
 * tries again, and the server runs without. */
void control_socket_open(struct master *master);
void control_socket_tick(struct master *master);
/* Starts the steward when somebody connects. */
void control_socket_wait(struct master *master);
/* The watch alone: the sockets are closed with the others. */
void control_socket_close(struct master *master);

/* ---- control.c ---- */
void control_on_message(struct child *child, struct slice body);

/* ---- sealed_config.c ---- */
/* ERR_TOO_LARGE, ERR_IO. Takes a reference of the configuration. */
int sealed_config_open(struct sealed_config *sealed, struct config *config, struct error *err);
void sealed_config_close(struct sealed_config *sealed);
/* Sends CONFIG, with the next number, to one child. */
void sealed_config_send(struct master *master, struct child *child,
                        const struct sealed_config *sealed);

/* ---- secret_files.c ---- */
/* Reads the files that the configuration in use names again, if one of them has changed. True: what
 * they contain is different, and who has secrets was sent it. */
bool secret_files_read(struct master *master);

/* ---- proxy_lines.c ---- */
/* Says through which proxy each upstream is asked, if any: a line in the log for each. */
void proxy_lines_log(const struct config *config);

/* ---- drain.c ---- */
void drain_begin(struct master *master);
/* Sends SIGKILL to the processes that are being drained. */
void drain_hurry(struct master *master);
/* A child died: goes on to the next role if it was the last of this one. */
void drain_advance(struct master *master);
/* Will the seat be filled again when its child dies? */
bool drain_is_wanted(const struct seat *seat);

#endif
