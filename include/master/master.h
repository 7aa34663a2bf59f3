/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master: holds privilege, binds sockets, starts the others by fork and exec of this program,
 * restarts who dies (slower and slower if it keeps dying), drains on SIGTERM. Parses nothing from
 * clients or upstreams, never opens the ledger.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config;
struct error;

#define MASTER_LINE 3 /* the descriptor that is a child's line to the master */

/* A child that exits with this says that starting again will not help; at the server's own start
 * that ends it. */
#define CHILD_CANNOT_START 3

struct identity {  /* who the children run as */
    bool is_other; /* we are root and become somebody else */
    uid_t uid;
    gid_t gid;
    char name[64];
};

/* `user` is the setting, NULL by default. ERR_NOT_FOUND: the sentence says what to do; ERR_DENIED:
 * only root can become somebody else. */
int identity_resolve(const char *user, struct identity *out, struct error *err);

/* What the command line and the configuration decided. */
struct master_options {
    struct config *config; /* to begin with; the master takes a reference */
    const struct identity *identity;
    const char *version;
    int uploads_fd; /* shared memory of upload sessions */
    /* Reads the configuration again, from where it was read first. ERR_INVALID: what is wrong with
     * it was logged. */
    int (*load)(struct config **out, void *arg);
    /* Everything is up; addresses as bound. May be NULL. */
    void (*on_ready)(const char *const *addresses, size_t count, void *arg);
    void *arg;
};

/* Runs until it is told to stop. `warnings` were already logged. Returns the exit status. */
int master_run(const struct master_options *options);

#endif
