/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ask is a question to an upstream that is answered in one piece: a manifest by digest, a tag, a
 * list, the size of a blob, or the proof that a repository has a blob. All followers that ask the
 * same question about the same repository share one ask.
 *
 *   ASKING ──> READING ──> STORING ──> gone       manifests and tags
 *      │     (in the pool)    │ answered; later followers get the same answer
 *      │          └──────────> gone               lists
 *      └──────────────────────┴──> gone           the others
 */
#ifndef FETCHER_ASK_H
#define FETCHER_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "ipc/message.h"
#include "lookup.h"
#include "oci/digest.h"

struct error;
struct fetch;
struct fetch_request;
struct fetch_result;
struct fetcher;
struct follower;
struct received_list;
struct received;
struct upstream;

enum ask_state {
    ASK_ASKING,
    ASK_READING,
    ASK_STORING,
    ASK_ENDED, /* freed after this turn */
    ASK_STATES,
};

struct ask_tag { /* what the ledger knows about the tag */
    bool is_known;
    bool is_here; /* its manifest is visible in the repository, and its bytes are here */
    struct digest digest;
    uint64_t checked_ms;
    struct lookup_manifest manifest;
};

struct ask {
    struct list link; /* in fetcher->all_asks */
    struct fetcher *fetcher;
    struct upstream *upstream;
    struct slice origin; /* the upstream's name, borrowed from it */
    enum join_kind kind; /* JOIN_BLOB: the proof that the repository has it */
    enum ask_state state;
    struct buf key;
    bool is_in_table;
    char *repository;
    char *reference; /* a tag, or the query of a list */
    struct digest digest;
    bool is_check; /* as in the JOIN message */
    struct list followers;
    struct fetch *fetch;
    struct ask_tag tag;
    struct received *received;  /* the manifest, once it has come */
    struct received_list *list; /* the list, once it has come */
    struct monotime answered_at;
    /* Called when the manifest does not come. is_final: the upstream itself said so. */
    void (*failed)(struct ask *ask, const struct error *err, bool is_final, uint64_t retry_after);
};

/* The follower joins the ask for the same question, or starts a new one. Defined in ask_join.c. */
void ask_join(struct fetcher *fetcher, struct follower *follower, const struct message_join *join,
              struct upstream *upstream);
void ask_free_all(struct fetcher *fetcher);

/* ---- ask.c: life ---- */
struct ask *ask_new(struct fetcher *fetcher, const struct message_join *join,
                    struct upstream *upstream);
/* The same question, if its answer is still worth following; or NULL. */
struct ask *ask_find(struct fetcher *fetcher, const struct message_join *join,
                     struct upstream *upstream);
/* Send an ANSWER to all followers, which are freed; answer->request is filled in. */
void ask_answer(struct ask *ask, struct message_answer *answer);
/* The same with the memory file of a large answer (follower_payload_new); -1: there is none. */
void ask_answer_payload(struct ask *ask, struct message_answer *answer, int payload_fd);
void ask_fail(struct ask *ask, const struct error *err, uint64_t retry_after);
void ask_end(struct ask *ask);
/* A lookup in the ask's repository. */
struct lookup ask_lookup(const struct ask *ask);
void ask_set_state(struct ask *ask, enum ask_state next);
/* Start a fetch in the ask's repository; the request's upstream and repository are filled in. */
void ask_fetch(struct ask *ask, struct fetch_request *request,
               void (*fn)(const struct fetch_result *result, void *arg));

void ask_begin_list(struct ask *ask);     /* ask_list.c: lists, referrers, sizes, proofs */
void ask_begin_manifest(struct ask *ask); /* ask_manifest.c */
void ask_begin_tag(struct ask *ask);      /* ask_tag.c */
void ask_begin_presence(struct ask *ask); /* ask_presence.c */

/* GET the manifest by `reference`; `failed` is called when it does not come. */
void ask_get_manifest(struct ask *ask, const char *reference,
                      void (*failed)(struct ask *ask, const struct error *err, bool is_final,
                                     uint64_t retry_after));
/* Answer a follower that joined late with what was received. */
void ask_answer_late(struct ask *ask);
/* Appends "REPOSITORY/manifests/REFERENCE". */
void ask_print_manifest_path(const struct ask *ask, const char *reference, struct buf *out);

#endif
