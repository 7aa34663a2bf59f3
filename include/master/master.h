/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master: holds privilege, binds sockets, starts the others by fork and exec of this program,
 * restarts who dies (slower and slower if it keeps dying), drains on SIGTERM. Parses nothing from
 * clients or upstreams, never opens the ledger.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

struct config;
struct error;

/* Runs until it is told to stop. `warnings` were already logged. Returns the exit status. */
int master_run(const struct config *config);

#endif
