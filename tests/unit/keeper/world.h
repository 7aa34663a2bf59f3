/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper with its store and ledger in a folder of its own, two workers and a fetcher as channels
 * that the test speaks through. Answers are kept until they are asked for. Every failure fails the
 * test.
 */
#ifndef KEEPER_WORLD_H
#define KEEPER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "ipc/message.h"
#include "store/ledger.h"
#include "store/store.h"
#include "store/upload_table.h"

#define WORLD_UPLOADS 4 /* limits.uploads */

enum who {
    WORKER_0,
    WORKER_1,
    FETCHER,
    WHO, /* count */
};

struct answer {
    enum message_type type; /* MESSAGE_DONE, MESSAGE_REFUSED, MESSAGE_NONE: none came */
    uint64_t number;
    enum error_kind kind;
    char text[256];
    char digests[8192];
    size_t digests_length;
};

/* cmocka fixtures. */
int world_setup(void **state);
int world_teardown(void **state);

extern uint64_t world_liar; /* the id of the last process that the keeper reported, enum who + 1 */
extern struct config world_config; /* upstream docker.io, protect library/ and what is below */
extern struct store *world_store;
extern struct ledger *world_ledger;
extern struct upload_table *world_uploads;
extern struct loop *world_loop;
extern struct keeper *world_keeper;

/* The keeper is killed and another starts on the same folder, with new channels. */
void world_restart(void);
/* One process is replaced: its old channel stays open on our side until world_end. Returns our end
 * of it. */
struct channel *world_replace(enum who who);
void world_end(struct channel **channel);
/* It dies, with what it sent unread, and a successor connects at once. */
void world_kill(enum who who);

/* Send; the message gets the next request number, which is returned. */
uint64_t world_post(enum who who, enum message_type type, void *message);
uint64_t world_post_on(struct channel *channel, enum message_type type, void *message);
/* The number that CHANGED told last; 0: none. */
uint64_t world_changed(void);
/* What came until now; type MESSAGE_NONE: nothing. */
struct answer world_answer(uint64_t request);
/* The answer, at once or after some turns. */
struct answer world_await(uint64_t request);
struct answer world_ask(enum who who, enum message_type type, void *message);
void world_turns(unsigned count);
/* So much time passes, in which the keeper does what falls due. */
void world_pass(uint64_t ms);
/* Until the keeper has done what it does by itself, once at least. */
void world_keep_house(void);

/* A synced file, and the message that tells of it. */
void world_file(enum store_place place, const char *name, struct slice bytes, uint64_t *out_inode);
struct message_blob_stored world_blob(const char *repository, const char *content);
/* Sends it too and expects DONE. */
struct digest world_push_blob(const char *repository, const char *content);
struct digest world_digest(const char *content);

/* An image manifest of a config and layers (contents, ended by NULL); `label` makes it differ: it
 * is the text of a member of the document, as it stands. */
struct message_manifest_put world_manifest(const char *repository, const char *tags,
                                           const char *label, const char *const *contents);
/* Pushes an image index of manifests that are here. */
struct digest world_push_index(const char *repository, const char *tags, const char *label,
                               const struct digest *children, size_t count);
struct message_manifest_stored world_fetched(const char *repository, const char *tag,
                                             uint64_t checked, const char *label,
                                             const char *const *contents);
/* Pushes its blobs, then the manifest. */
struct digest world_push(const char *repository, const char *tags, const char *label,
                         const char *const *contents);

/* ---- looking into the ledger ---- */
struct ledger_txn *world_read(void);
void world_read_end(void);
uint64_t world_number(void); /* of the newest commit */
struct repository world_repository(const char *origin, const char *name);
/* What a tag names; algorithm 0: nothing. */
struct digest world_tag(const char *origin, const char *repository, const char *tag);
unsigned world_link(const char *origin, const char *repository, const struct digest *digest);
/* where 0: no record. */
struct blob_record world_blob_record(const struct digest *digest);
/* Whether a file lies under its final name. */
bool world_has_file(const struct digest *digest);

#endif
