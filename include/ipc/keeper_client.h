/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A role's conversation with the keeper: numbers, credits, repeats and deadlines, the same for all.
 *
 *   waiting ── a credit is free ──► open ── answer ──► answered
 *
 * Calls keep their order. When the keeper dies, the open ones are sent again on the next channel,
 * marked as repeated, with the commit number that was seen at first. Each call is answered exactly
 * once, and never from inside the function that asked:
 *
 *   by the keeper, or
 *   ERR_BUSY       the commit number could not be read; or, for a call that is not patient, there
 *                  is no keeper and the call is 30 s old, or there is one and the call is 60 s
 *                  old; or there is none and no other comes (keeper_client_set_last)
 *   ERR_CANCELLED  by keeper_client_cancel and keeper_client_free
 *
 * A call whose deadline has passed may still be applied, as with any answer that is lost. It keeps
 * its credit until the keeper answers or dies, and is not sent again.
 */
#ifndef IPC_KEEPER_CLIENT_H
#define IPC_KEEPER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "ipc/message.h"

struct keeper_call;
struct keeper_client;
struct loop;

/* What the keeper said, or the client in its place. Slices live until the callback returns. */
struct keeper_answer {
    bool is_done;
    uint64_t commit;      /* is_done: the number of the commit */
    enum error_kind kind; /* otherwise */
    struct slice text;
    struct slice digests; /* MANIFEST_PUT: those that are not here, in binary */
};

/* The answer to a call; the call's memory is its owner's again. */
typedef void keeper_call_fn(struct keeper_call *call, const struct keeper_answer *answer);
/* The answer to keeper_client_tell: NULL when it is done. */
typedef void keeper_told_fn(const struct error *err, void *arg);

/* Any message that has a head. */
union keeper_message {
    struct message_blob_stored blob_stored;
    struct message_link link;
    struct message_push_begun push_begun;
    struct message_manifest_put manifest_put;
    struct message_manifest_stored manifest_stored;
    struct message_tag_checked tag_checked;
    struct message_remove remove;
    struct message_reader reader;
    struct message_blob_suspected blob_suspected;
    struct message_take_out take_out;
    struct message_pin pin;
    struct message_collect collect;
};

#define KEEPER_ACTOR_SIZE 256 /* of all texts of an actor; what is longer is cut */

/* One question, embedded in its owner, which lives until the answer. */
struct keeper_call {
    enum message_type type;
    union keeper_message message; /* its slices live until the answer; the client fills the head */
    keeper_call_fn *on_answer;
    bool is_patient; /* no deadline */
    /* The client's: */
    struct list link;
    bool is_open;
    uint64_t asked_ms;
    struct actor actor;
    char actor_text[KEEPER_ACTOR_SIZE];
};

/* What a role gives its client. */
struct keeper_client_options {
    struct loop *loop; /* borrowed until keeper_client_free */
    enum process_role role;
    unsigned credits; /* open calls, at most */
    /* While so many calls are unanswered, messages without a callback are dropped. 0: never. */
    size_t unanswered_max;
    /* The newest commit number; a negated error kind when the ledger cannot be read. */
    int (*read_number)(uint64_t *out, struct error *err, void *arg);
    /* Each new channel begins with a BARRIER; this comes when it is done. NULL: no BARRIER. */
    void (*on_barrier)(void *arg);
    /* The number of the newest commit has changed, or a new channel has begun; some numbers may be
     * left out. NULL: the keeper is not asked to tell. */
    void (*on_changed)(uint64_t number, void *arg);
    /* No call is unanswered any more. May be NULL. */
    void (*on_quiet)(void *arg);
    void *arg;
};

/* A client without a channel. Copies the options. */
struct keeper_client *keeper_client_new(const struct keeper_client_options *options);
/* Writes what was sent, 100 ms at most; then as keeper_client_cancel. */
void keeper_client_free(struct keeper_client **client);
/* A channel to the (next) keeper; takes the descriptor over. */
void keeper_client_set_channel(struct keeper_client *client, int *fd);
/* No other channel comes: this process has lost its master. Once there is none, every call is
 * answered at once. May call on_answer. */
void keeper_client_set_last(struct keeper_client *client);
/* Whether there is a channel. The keeper at its other end may hang. */
bool keeper_client_is_up(const struct keeper_client *client);
/* Calls that are not answered. */
size_t keeper_client_pending(const struct keeper_client *client);
/* Answers all calls with ERR_CANCELLED. Drops what was told, without its callbacks. */
void keeper_client_cancel(struct keeper_client *client);

/* Copies the texts into the call. A call without an actor has empty ones. */
void keeper_call_set_actor(struct keeper_call *call, const struct actor *actor);
/* Asks the keeper. The caller has set type, message and on_answer, and may have set is_patient and
 * the actor. */
void keeper_client_ask(struct keeper_client *client, struct keeper_call *call);
/* The same with a copy of the message. `fn` may be NULL: the answer is then ignored. */
void keeper_client_tell(struct keeper_client *client, enum message_type type, const void *message,
                        bool is_patient, keeper_told_fn *fn, void *arg);
/* The callbacks of keeper_client_tell with this arg are not called any more; what was told is still
 * done. */
void keeper_client_forget(struct keeper_client *client, const void *arg);
/* A message without a head: not answered, and lost when there is no keeper. */
void keeper_client_mention(struct keeper_client *client, enum message_type type,
                           const void *message);

/* The error of an answer that is not done. */
void keeper_answer_error(const struct keeper_answer *answer, struct error *err);

#endif
