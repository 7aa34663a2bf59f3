/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes upload sessions that no client continues, and files of workers that died. At the keeper's
 * start it finds the sessions again: the table of their slots dies with the server, but their files
 * do not, and without a slot a session would neither be counted nor make room for others.
 */
#ifndef KEEPER_JANITOR_H
#define KEEPER_JANITOR_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct janitor;
struct pool;
struct store;
struct upload_table;

struct janitor_options { /* borrowed */
    struct pool *pool;
    struct store *store;
    struct upload_table *uploads;
};

struct janitor *janitor_new(const struct janitor_options *options);
/* Must not be called while it runs. */
void janitor_free(struct janitor **janitor);
/* Makes a slot for every session that has only a file, as long as there is room. Blocks: called
 * before the loop runs. */
void janitor_find_sessions(struct janitor *janitor, const struct config *config, uint64_t now_ms);
/* Removes, in the pool, what got no bytes for limits.upload_expiry. Ignored while it runs. */
void janitor_start(struct janitor *janitor, const struct config *config, uint64_t now_ms);
bool janitor_is_running(const struct janitor *janitor);

#endif
