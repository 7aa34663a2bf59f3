/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request's work on one upload session, from the first look at the session to the answer.
 *
 *      POST                      PATCH, PUT, DELETE        GET
 *        │                               │                  │
 *     MOUNTING ─→ (201)               OPENING            LOOKING
 *        ↓                            │     │               │
 *     EVICTING                        │     │ DELETE     (204)
 *        ↓                            │     ↓
 *     MARKING                         │  REMOVING ─→ (204)
 *        ↓          with a digest     ↓
 *     CREATING ─────────────────→ RECEIVING ──────────────┬─→ REMOVING
 *        │                        │ PATCH  │ PUT, POST    │
 *      (202)              RELEASING      CLOSING ─────────┤
 *                             │              ↓            │
 *                           (202)          ASKED ─────────┘
 *                                            │ └ refused ─→ RESTORING
 *                                          (201)
 *
 * The first three states of a POST are skipped when there is nothing to do in them. From every
 * state there is a way to DONE, where the request has its answer or is gone. In each state but
 * RECEIVING and DONE exactly one thing is under way, a job in the pool or a question to the keeper,
 * and its end decides what follows; that the client has gone is looked at there. A client that goes
 * while the session is RECEIVING ends that state at once: what was received of a PATCH or PUT is
 * kept, of a POST it is removed, because no client knows the session. From CLOSING on the upload
 * goes through without its client.
 *
 * The session is released before its request is answered: the client's next request may come to
 * another worker at once.
 *
 * upload_start.c has the states of a POST up to CREATING, upload_continue.c OPENING and LOOKING,
 * upload_session.c the others.
 */
#ifndef WORKER_UPLOAD_SESSION_H
#define WORKER_UPLOAD_SESSION_H

#include "base/error.h"
#include "ipc/keeper_client.h"
#include "oci/name.h"
#include "upload_body.h"
#include "upload_file.h"
#include "worker_state.h"

struct config;
struct request;
struct upload;

enum upload_aim { /* what the request wants */
    AIM_BEGIN,    /* POST: an empty session */
    AIM_WHOLE,    /* POST with a digest: a whole blob, in a session that no client knows */
    AIM_APPEND,   /* PATCH */
    AIM_FINISH,   /* PUT */
    AIM_LOOK,     /* GET, HEAD */
    AIM_CANCEL,   /* DELETE */
};

enum upload_state {
    UPLOAD_NEW,
    UPLOAD_MOUNTING,  /* the keeper is asked to link a blob from another repository */
    UPLOAD_EVICTING,  /* the pool ends an idle session to make room for this one */
    UPLOAD_MARKING,   /* the slot is taken; the keeper is told that a push begins */
    UPLOAD_CREATING,  /* the pool creates the file */
    UPLOAD_OPENING,   /* the pool opens and locks the file, and hashes what was not hashed yet */
    UPLOAD_LOOKING,   /* the pool measures the file */
    UPLOAD_RECEIVING, /* the connection fills blocks, the pool writes them */
    UPLOAD_RELEASING, /* the pool writes the last block and releases the session */
    UPLOAD_CLOSING,   /* the pool writes the last block, compares the digest, syncs */
    UPLOAD_ASKED,     /* the keeper is asked to place the blob */
    UPLOAD_RESTORING, /* the keeper has refused: the pool makes the file a session's again */
    UPLOAD_REMOVING,  /* the pool removes file and slot */
    UPLOAD_DONE,      /* the request has its answer, or is gone */
    UPLOAD_STATES
};

struct upload {
    struct worker *worker;
    struct request *request; /* NULL: gone */
    enum upload_state state;
    enum upload_aim aim;
    struct digest digest; /* of AIM_WHOLE and AIM_FINISH, and of the blob to be mounted */
    char repository[NAME_MAX_LENGTH + 1];
    struct upload_file file;
    struct upload_body body;
    uint64_t body_max; /* bytes that may come */
    struct worker_job job;
    struct error err;     /* of the last job */
    struct error refusal; /* for the client, when RESTORING or REMOVING is over */
    struct keeper_call call;
};

/* The request's step from now on. Freed in UPLOAD_DONE, when the request is gone too. */
struct upload *upload_new(struct request *request, const struct upload_id *id, enum upload_aim aim);
void upload_set_state(struct upload *upload, enum upload_state next);
/* In the new state `run` runs in the pool and fills upload->err, then `done` is called. */
void upload_run(struct upload *upload, enum upload_state next, void (*run)(struct worker_job *job),
                void (*done)(struct worker_job *job));
/* In the new state the keeper is asked upload->call, whose type and message are set. */
void upload_ask(struct upload *upload, enum upload_state next, keeper_call_fn *on_answer);

/* From OPENING or CREATING, the file is open: receive the body, and go on until the answer. */
void upload_receive(struct upload *upload);
/* Remove file and slot, then answer with `refusal`, or 204 when there is none (NULL). */
void upload_remove(struct upload *upload, const struct error *refusal);
/* The error for a blob that is too large: ERR_TOO_LARGE. */
int upload_refuse_size(const struct config *config, struct error *err);
/* Answer with an error, unless the client has gone. */
void upload_refuse(struct upload *upload, const struct error *err);
/* Everything is over. The request was answered or is gone; `upload` may not exist any more. */
void upload_finish(struct upload *upload);

#endif
