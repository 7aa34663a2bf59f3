/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master. It holds privilege, binds the sockets, starts the other processes by fork and exec of
 * this program, starts them again when they die (more and more slowly if they keep dying), reads
 * the configuration again on SIGHUP and drains the server on SIGTERM. It parses nothing that comes
 * from clients or upstreams, and never opens the ledger.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config;
struct error;

#define MASTER_LINE 3 /* the descriptor that is a child's line to the master */

/* A child that exits with this status will not start when it is tried again. While the server is
 * starting, that ends the server. */
#define CHILD_CANNOT_START 3

struct identity {       /* the user that the children run as */
    bool is_other;      /* we are root, and this is another user */
    bool has_no_groups; /* only gid; the user's other groups are not looked up */
    bool is_fallback;   /* we stay root, because there is no user entrepot */
    uid_t uid;
    gid_t gid;
    char name[65]; /* the setting has at most 64 bytes */
};

/* `user` is the setting, a name, UID or UID:GID; NULL by default: then we stay who we are, but root
 * becomes `entrepot` if there is such a user. ERR_NOT_FOUND: there
 * is no such user, and the text says what to do. ERR_DENIED: only root can become another user. */
int identity_resolve(const char *user, struct identity *out, struct error *err);
/* A group by its name or number. ERR_NOT_FOUND: there is none. */
int group_resolve(const char *name, gid_t *out, struct error *err);

/* Before anything is made: raises the limit of descriptors as far as possible, for the children
 * too. ERR_UNSUPPORTED: a limit of the operating system (open files, size of files) is too low; the
 * text says which and how to raise it. */
int limits_prepare(struct error *err);

/* All that the master needs; everything is borrowed until master_run returns. */
struct master_options {
    const char *config_file; /* for the log; NULL: none was read */
    struct config *config;   /* to begin with; the master takes a reference */
    const struct identity *identity;
    const char *version;
    int uploads_fd; /* shared memory of upload sessions */
    /* Reads the configuration again, from where it was read first. ERR_INVALID: its problems
     * were logged. */
    int (*load)(struct config **out, void *arg);
    /* All processes are ready for the first time. The addresses are as bound. May be NULL. */
    void (*on_ready)(const char *const *addresses, size_t count, void *arg);
    void *arg;
};

/* Runs the server until it is told to stop. Returns the exit status. */
int master_run(const struct master_options *options);

#endif
