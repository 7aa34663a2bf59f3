/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload sessions that nobody goes on with, and files of workers that died. Sessions are found
 * again at the keeper's start, because the table of their slots dies with the server and their
 * files do not: without a slot they would neither be counted nor make room.
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
/* Not while it runs. */
void janitor_free(struct janitor **janitor);
/* A slot for every session that has only a file, as long as there is room. Before anybody needs the
 * loop: blocks. */
void janitor_find_sessions(struct janitor *janitor, const struct config *config, uint64_t now_ms);
/* Remove in the pool what got nothing for limits.upload_expiry; nothing happens while it runs. */
void janitor_start(struct janitor *janitor, const struct config *config, uint64_t now_ms);
bool janitor_is_running(const struct janitor *janitor);

#endif
