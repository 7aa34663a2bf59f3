/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload sessions in shared memory: how far each one is, and its hash so far, so that the next
 * request can come to any worker without the data being read again. A slot is written only by the
 * holder of the session's lock (store/upload_lock.h); before the session has a file, by the request
 * that makes it. The table ends with the server. When the server starts again, the keeper gives the
 * sessions new slots, and their files are hashed when they are used.
 */
#ifndef STORE_UPLOAD_TABLE_H
#define STORE_UPLOAD_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "oci/upload_id.h"

struct error;
struct slice;
struct upload_table;

#define UPLOAD_SLOTS_MAX 65536u /* of one table */

/* How far an upload is. */
struct upload_progress {
    uint64_t offset; /* bytes that `hash` has seen; the file may be longer */
    struct hash hash;
    uint64_t repository_key; /* the repository it belongs to: upload_repository_key */
    uint64_t used_ms;        /* wall clock, of the last use */
    uint64_t unhashed;       /* bytes of the file that a former run left, until it is opened */
};

/* Called by the master. ERR_IO. */
int upload_table_create(unsigned slots, int *out_fd, struct error *err);
int upload_table_attach(int fd, struct upload_table **out, struct error *err);
void upload_table_detach(struct upload_table **table);
/* A table in memory of this process alone: for tests and for roles without a master. */
int upload_table_new(unsigned slots, struct upload_table **out, struct error *err);

/* A slot for a new session. ERR_BUSY when all slots are taken; the caller may end idle sessions
 * (upload_end_idlest). */
int upload_table_add(struct upload_table *table, const struct upload_id *id,
                     const struct upload_progress *state, struct error *err);
/* A consistent copy (seqlock), whose hash has seen `offset` bytes. False: there is no slot, its
 * writer died while writing, or its memory was damaged; the file has to be hashed. */
bool upload_table_get(struct upload_table *table, const struct upload_id *id,
                      struct upload_progress *out);
/* Only for the holder of the lock. Adds the session when it has no slot. */
int upload_table_set(struct upload_table *table, const struct upload_id *id,
                     const struct upload_progress *state, struct error *err);
void upload_table_remove(struct upload_table *table, const struct upload_id *id);
unsigned upload_table_count(const struct upload_table *table);
unsigned upload_table_count_of(const struct upload_table *table, uint64_t repository_key);
/* Which sessions may be ended for others. */
enum upload_content {
    UPLOAD_ANY,
    UPLOAD_EMPTY,      /* no byte was received */
    UPLOAD_WITH_BYTES, /* their end gives space back */
};
struct upload_choice {
    const uint64_t *repository_key; /* NULL: of any repository */
    uint64_t from_ms;               /* last used then or later, wall clock */
    uint64_t before_ms;             /* and before this */
    enum upload_content content;
};
struct upload_idle {
    struct upload_id id;
    uint64_t repository_key;
    uint64_t used_ms;
};
bool upload_choice_has(const struct upload_choice *choice, const struct upload_progress *state);
/* At most `max` of these sessions, the one used longest ago first. Returns their number. */
unsigned upload_table_idlest(const struct upload_table *table, const struct upload_choice *choice,
                             struct upload_idle *out, unsigned max);
/* Every session that has a slot; `each` may remove it. */
typedef void upload_table_each_fn(const struct upload_id *id, const struct upload_progress *state,
                                  void *arg);
void upload_table_each(const struct upload_table *table, upload_table_each_fn *each, void *arg);
/* The key that stands for a repository's name. */
uint64_t upload_repository_key(const struct slice *name);

#endif
