/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker on the fake loop, with a real store and ledger. The test plays its fetcher and keeper:
 * it reads the messages that the worker sends them, and sends theirs by hand.
 */
#ifndef WORKER_SCENE_H
#define WORKER_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ipc/message.h"
#include "store/ledger.h"
#include "store/upload_table.h"

struct pool;
struct scene;
struct config;
struct store;
struct worker;
struct worker_options;

union any_message {
    struct message_join join;
    struct message_leave leave;
    struct message_blob_stored blob_stored;
    struct message_link link;
    struct message_push_begun push_begun;
    struct message_manifest_put manifest_put;
    struct message_remove remove;
    struct message_used used;
    struct message_blob_suspected blob_suspected;
};

/* `hosted.shadow_check` is off unless the settings have it. */
struct scene *scene_new(const char *settings);
/* With the authenticator, the authorizer and the endpoints of these options. */
struct scene *scene_new_with(const char *settings, const struct worker_options *extra);
void scene_free(struct scene *scene);
/* Ends the worker, whatever it is doing; store, ledger and uploads stay. */
void scene_end_worker(struct scene *scene);
/* Runs the loop until nothing more happens; the clock stands still. */
void scene_settle(struct scene *scene);
/* Lets virtual time pass. */
void scene_pass(struct scene *scene, uint64_t ms);

/* ---- the ledger ---- */
struct ledger_txn *scene_write(struct scene *scene);
void scene_commit(struct ledger_txn *txn);
/* A blob with its file. */
void scene_put_blob(struct scene *scene, struct ledger_txn *txn, struct slice bytes, bool is_public,
                    struct digest *out_digest);
/* A small manifest, in the ledger alone, linked and tagged in the repository. */
void scene_put_manifest(struct ledger_txn *txn, const char *origin, const char *name,
                        const char *tag, struct slice bytes, uint64_t checked_ms);

struct pool *scene_pool(struct scene *scene);
struct worker *scene_worker(struct scene *scene);
/* What the scene is made of, for tests that disturb it. */
struct store *scene_store(struct scene *scene);
struct config *scene_config(struct scene *scene);
struct upload_table *scene_uploads(struct scene *scene);
/* Opens the file of an upload session once more: a lock on it conflicts with the worker's. */
int scene_open_upload(struct scene *scene, const char *repository, const char *id);

/* What the session's slot says. Returns false when it has none. */
bool scene_find_upload(struct scene *scene, const char *id, struct upload_progress *out);

/* Adds the number of files under uploads/. */
void scene_each_upload(struct scene *scene, size_t *count);

/* The keeper has taken them all into blobs/. */
void scene_remove_uploads(struct scene *scene);

/* ---- the peers: ROLE_FETCHER, ROLE_KEEPER ---- */
void scene_connect(struct scene *scene, enum process_role role);
void scene_disconnect(struct scene *scene, enum process_role role);
/* The next message that the worker sent, which must be of this type. It lives until the next call.
 */
const union any_message *scene_heard(struct scene *scene, enum process_role role,
                                     enum message_type type);
/* The next message of any type but USED; NULL when there is none. */
const union any_message *scene_heard_any(struct scene *scene, enum process_role role,
                                         enum message_type *out_type);
/* Fails when the worker sent another message than USED. */
void scene_heard_nothing(struct scene *scene, enum process_role role);
/* How many USED messages were sent so far. */
unsigned scene_uses(struct scene *scene);
void scene_say(struct scene *scene, enum process_role role, enum message_type type,
               const void *message, int fd);
void scene_done(struct scene *scene, uint64_t request);

/* ---- clients ---- */
struct guest {
    int fd;
    struct buf input;
    bool is_closed;
};
void guest_come(struct scene *scene, struct guest *guest, enum listener_kind kind);
/* Connects through a listening socket, where connections are counted. */
void guest_connect(struct scene *scene, struct guest *guest, enum listener_kind kind);
void guest_leave(struct scene *scene, struct guest *guest);
void guest_send(struct scene *scene, struct guest *guest, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Everything that has come so far, as text. */
const char *guest_got(struct scene *scene, struct guest *guest);
/* The bytes after the first head. */
size_t guest_body_length(struct scene *scene, struct guest *guest);
int guest_status(struct scene *scene, struct guest *guest);
void guest_forget(struct guest *guest);

#endif
