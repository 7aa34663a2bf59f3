/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: the only writer of the ledger and of names under blobs/. Requests that arrive
 * together share one transaction: first their files are renamed and the folders synced, in parallel
 * in the pool; then the transaction is committed; then the requests are answered.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/message.h"

struct config;
struct error;
struct keeper;
struct ledger;
struct loop;
struct pool;
struct store;
struct upload_table;

struct keeper_options { /* all borrowed until keeper_free, but the configuration */
    struct loop *loop;
    struct pool *pool;     /* many threads, for the files */
    struct config *config; /* to begin with; the keeper takes a reference of its own */
    struct store *store;
    struct ledger *ledger; /* opened for writing */
    struct upload_table *uploads;
    void (*on_drained)(void *arg);
    /* A message to the master; see enum control_kind. May be NULL. */
    void (*ask_master)(enum control_kind kind, uint64_t argument, void *arg);
    void *arg;
};

/* Whether it may start with this configuration. ERR_CONFLICT: it would hide pushed images. */
int keeper_check(const struct keeper_options *options, struct error *err);
/* Borrows what the options point to. Finds the upload sessions that a former server left. */
struct keeper *keeper_new(const struct keeper_options *options);
/* Uses this configuration from the next batch on. The keeper takes a reference of its own. */
void keeper_set_config(struct keeper *keeper, struct config *config);
/* Waits for the running transaction. */
void keeper_free(struct keeper **keeper);
/* A new channel to that process; takes the descriptor over. If its predecessor is dead, all that it
 * sent is read before anything from the new one. */
void keeper_set_peer(struct keeper *keeper, enum process_role role, unsigned slot, uint64_t id,
                     int *fd);
/* Finishes and answers what was received, for at most within_ms, then calls on_drained. */
void keeper_drain(struct keeper *keeper, uint64_t within_ms);

#endif
