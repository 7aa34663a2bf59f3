/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to an upstream that is answered in one piece: a manifest by digest, a tag, a list, the
 * size of a blob, the proof that a repository has a blob. Shared by all who ask the same of the
 * same repository.
 *
 *   ASKING ──> READING ──> STORING ──> gone       manifests and tags
 *      │     (in the pool)    │ answered; late ones get the same answer
 *      │          └──────────> gone               lists
 *      └──────────────────────┴──> gone           the others
 */
#ifndef ASK_H
#define ASK_H

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
struct listing;
struct received;
struct upstream;

enum ask_state {
    ASK_ASKING,
    ASK_READING,
    ASK_STORING,
    ASK_ENDED, /* freed after this turn */
};

struct ask_tag { /* what the ledger knows of the tag */
    bool is_known;
    bool is_here; /* its manifest, visible in the repository */
    struct digest digest;
    uint64_t checked_ms;
    struct lookup_manifest manifest;
};

struct ask {
    struct list link; /* of all */
    struct fetcher *fetcher;
    struct upstream *upstream;
    struct slice origin; /* the configuration's */
    enum join_kind kind; /* JOIN_BLOB: a proof */
    enum ask_state state;
    struct buf key;
    bool is_in_table;
    char *repository;
    char *reference; /* tag or query */
    struct digest digest;
    bool is_check; /* of the message */
    struct list followers;
    struct fetch *fetch;
    struct ask_tag tag;
    struct received *received; /* the manifest that came */
    struct listing *listing;   /* the list that came */
    struct monotime answered_at;
    /* The manifest does not come. is_final: the upstream's word. */
    void (*failed)(struct ask *ask, const struct error *err, bool is_final, uint64_t retry_after);
};

/* The follower joins the same question, or starts it. */
void ask_join(struct fetcher *fetcher, struct follower *follower, const struct message_join *join,
              struct upstream *upstream);
void ask_free_all(struct fetcher *fetcher);

/* ---- ask.c: life ---- */
struct ask *ask_new(struct fetcher *fetcher, const struct message_join *join,
                    struct upstream *upstream);
/* The same question, if its answer is still worth following; or NULL. */
struct ask *ask_find(struct fetcher *fetcher, const struct message_join *join,
                     struct upstream *upstream);
/* To all followers; `request` is filled in. They are gone after it. */
void ask_answer(struct ask *ask, struct message_answer *answer);
/* The same, of a large one that follower_payload_new made; -1: there is none. */
void ask_answer_payload(struct ask *ask, struct message_answer *answer, int payload_fd);
void ask_fail(struct ask *ask, const struct error *err, uint64_t retry_after);
void ask_end(struct ask *ask);
/* In the ask's repository. */
struct lookup ask_lookup(const struct ask *ask);
void ask_set_state(struct ask *ask, enum ask_state next);
/* An exchange in the ask's repository: sets upstream and repository of the request and starts it.
 */
void ask_fetch(struct ask *ask, struct fetch_request *request,
               void (*fn)(const struct fetch_result *result, void *arg));

void ask_begin_list(struct ask *ask);     /* ask_list.c: lists, referrers, sizes, proofs */
void ask_begin_manifest(struct ask *ask); /* ask_manifest.c */
void ask_begin_tag(struct ask *ask);      /* ask_tag.c */

/* GET of the manifest by `reference`; `failed` is called when it does not come. */
void ask_get_manifest(struct ask *ask, const char *reference,
                      void (*failed)(struct ask *ask, const struct error *err, bool is_final,
                                     uint64_t retry_after));
/* Answers one who came late from what was received. */
void ask_answer_late(struct ask *ask);
/* "/v2/REPOSITORY/manifests/REFERENCE" */
void ask_print_manifest_path(const struct ask *ask, const char *reference, struct buf *out);

#endif
