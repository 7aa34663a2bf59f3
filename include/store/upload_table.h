/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload sessions in shared memory: how far each is, and its hash so far, so that the next request
 * can come to any worker without reading the data again. A slot is written by the holder of the
 * session's lock alone (store/upload_lock.h). The table dies with the server;
 * after that the keeper gives sessions slots again, and they are hashed from their files.
 */
#ifndef STORE_UPLOAD_TABLE_H
#define STORE_UPLOAD_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "oci/upload_id.h"

struct error;
struct upload_table;

#define UPLOAD_SLOTS_MAX 65536u /* of one table */

/* How far an upload has come. */
struct upload_progress {
    uint64_t offset; /* bytes that `hash` has seen; the file may have more */
    struct hash hash;
    uint64_t repository_key; /* which repository it belongs to: upload_repository_key */
    uint64_t used_ms;        /* wall clock */
};

/* The master makes it. ERR_IO. */
int upload_table_create(unsigned slots, int *out_fd, struct error *err);
int upload_table_attach(int fd, struct upload_table **out, struct error *err);
void upload_table_detach(struct upload_table **table);
/* For tests and roles without a master: private memory. */
int upload_table_new(unsigned slots, struct upload_table **out, struct error *err);

/* A new session. ERR_BUSY when all slots are taken (nothing is thrown out here; the caller may free
 * the idlest). */
int upload_table_add(struct upload_table *table, const struct upload_id *id,
                     const struct upload_progress *state, struct error *err);
/* A consistent copy (seqlock), whose hash has seen `offset` bytes. False: there is no slot, its
 * writer died while writing, or its memory was damaged; the file has to be hashed. */
bool upload_table_get(struct upload_table *table, const struct upload_id *id,
                      struct upload_progress *out);
/* The lock's holder only. Adds the session when it has no slot. */
int upload_table_set(struct upload_table *table, const struct upload_id *id,
                     const struct upload_progress *state, struct error *err);
void upload_table_remove(struct upload_table *table, const struct upload_id *id);
unsigned upload_table_count(const struct upload_table *table);
unsigned upload_table_count_of(const struct upload_table *table, uint64_t repository_key);
/* The idle sessions, those used before `before_ms`: at most `max` of them, the one used longest ago
 * first; of one repository alone when `repository_key` is not NULL. Returns their number. */
struct upload_idle {
    struct upload_id id;
    uint64_t repository_key;
    uint64_t used_ms;
};
unsigned upload_table_idlest(const struct upload_table *table, const uint64_t *repository_key,
                             uint64_t before_ms, struct upload_idle *out, unsigned max);
/* Every session that has a slot; `each` may remove it. */
typedef void upload_table_each_fn(const struct upload_id *id, const struct upload_progress *state,
                                  void *arg);
void upload_table_each(const struct upload_table *table, upload_table_each_fn *each, void *arg);
/* Of the repository's name. */
struct slice;
uint64_t upload_repository_key(const struct slice *name);

#endif
