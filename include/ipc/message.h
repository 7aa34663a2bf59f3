/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of messages.def as structs, and their encoding. MESSAGE_JOIN is struct message_join,
 * and so on for all of them. Pure functions: they neither block nor allocate.
 */
#ifndef IPC_MESSAGE_H
#define IPC_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"

struct buf;
struct error;

/* One for each message of messages.def; the number is on the wire. */
enum message_type {
    MESSAGE_NONE,
#define MESSAGE_BEGIN(type, name, from, to) MESSAGE_##type,
#include "ipc/messages.def"
    MESSAGE_TYPES, /* count */
};

/* The client on whose behalf something is done, for the journal; unknown fields are empty. */
struct actor {
    struct slice principal;  /* the name that authentication gave, "anonymous" without any */
    struct slice address;    /* of the client */
    struct slice request_id; /* as the access log prints it */
};

/* What every request to the keeper begins with. ipc/keeper_client.h fills in the numbers. */
struct message_head {
    uint64_t request;  /* the sender's number for it; the answer carries it */
    uint64_t seen;     /* the newest commit number the sender knew when it FIRST sent this */
    uint64_t repeated; /* 1: it is sent again, after a keeper's death */
    struct actor actor;
};

#define MESSAGE_BEGIN(type, name, from, to)                                                        \
    struct message_##name {                                                                        \
        uint8_t message_reserved;
#define NUMBER(field) uint64_t field;
#define BYTES(field)  struct slice field;
#define DIGEST(field) struct digest field;
#define MESSAGE_HEAD  struct message_head head;
#define MESSAGE_END                                                                                \
    }                                                                                              \
    ;
#include "ipc/messages.def"

/* What both ends of a line must have alike. It grows with every change of messages.def that an
 * older process would misunderstand. New fields at the end of a message are no such change; a new
 * message is one, unless it is sent only to processes that know it, because a message that is
 * unknown closes the channel. Versions may differ. */
#define MESSAGE_PROTOCOL 4

/* Who a process is. */
enum process_role {
    ROLE_MASTER,
    ROLE_WORKER,
    ROLE_FETCHER,
    ROLE_KEEPER,
    ROLE_STEWARD, /* a worker for the administrator alone; only while somebody needs it */
    ROLES,        /* count */
};

/* How much of each there can be. A configuration may ask for as much (see CONFIG_WORKERS_MAX and
 * CONFIG_LISTENS_MAX, which master/listeners.c compares), so all arrays by worker or by listening
 * socket have these sizes. */
#define WORKERS_MAX 64 /* slots of the role; every other role has one */
#define LISTENERS_MAX                                                                              \
    69 /* sockets: 16 entries of `listen` and the admin address, four each, and the                \
          administrator's */

/* What a shared memory file that the master passes is for. */
enum shared_kind {
    SHARED_METRICS = 1,
    SHARED_UPLOADS = 2,
};

/* What a child may ask of the master; `argument` of CONTROL in brackets. role_policy.c says who may
 * ask what. */
enum control_kind {
    CONTROL_RELOAD = 1,     /* read the configuration again */
    CONTROL_PEER_LIED = 2,  /* [id] it sent a malformed or forbidden message: end it */
    CONTROL_READ_FILES = 3, /* read passwords and certificates again; answered with CONFIG */
    CONTROLS,               /* count */
};

/* What a listening socket that the master passes is for. */
enum listener_kind {
    LISTENER_FULL = 1,    /* the whole API */
    LISTENER_MIRROR = 2,  /* read-only, a bare path is the default upstream's */
    LISTENER_ADMIN = 3,   /* /healthz /readyz /metrics */
    LISTENER_CONTROL = 4, /* the administrator's socket, /api/v1/ */
    LISTENER_KINDS,       /* one more than there are */
};

/* What a worker asks the fetcher for, and the answers. */
enum join_kind {
    JOIN_BLOB = 1,      /* OPEN, GREW…, VERIFIED; or HERE; or FAILED */
    JOIN_BLOB_SIZE = 2, /* HEAD: ANSWER with the size */
    JOIN_MANIFEST = 3,  /* by digest: ANSWER with the bytes */
    /* ANSWER; the body is empty when the ledger has the manifest, visible in the repository */
    JOIN_TAG = 4,
    JOIN_TAGS_LIST = 5, /* ANSWER: body is the upstream's JSON, link its next page */
    JOIN_REFERRERS = 6,
    /* Has the upstream such a repository? `reference` is a tag that it is asked for, or nothing:
     * then its list of tags, and after a 404 its tag latest. ANSWER: it has. */
    JOIN_PRESENCE = 7,
};

/* The query that a list is asked for with: `reference` of JOIN, `link` of ANSWER. */
#define LIST_QUERY_MAX 2048
/* Of a blob whose size the upstream does not say, workers hold back at most so many bytes. */
#define UNKNOWN_SIZE_MAX ((uint64_t)16 * 1024 * 1024)

/* How current an ANSWER is. */
enum answer_state {
    ANSWER_FRESH = 1, /* the upstream has just said so */
    ANSWER_STALE = 2, /* it could not be asked: this is the stored state, and `warning` says why */
};

/* What a DELETE takes away. */
enum remove_kind {
    REMOVE_TAG = 1,
    REMOVE_MANIFEST = 2, /* with the tags that name it */
    REMOVE_BLOB = 3,
};

/* What the administrator takes out. */
enum take_out_kind {
    TAKE_OUT_TAG = 1,      /* and the image, if nothing else names it */
    TAKE_OUT_MANIFEST = 2, /* with the tags that name it */
    TAKE_OUT_NAME = 3,     /* a hosted repository without images: the name is an upstream's again */
};

/* What becomes of a set of pins. */
enum pin_kind {
    PIN_ADD = 1,
    PIN_REMOVE = 2,
    PIN_REPLACE = 3, /* the set consists of these */
};

const char *message_name(enum message_type type);      /* "JOIN" */
const char *process_role_name(enum process_role role); /* "worker" */
/* Appends the body (not the type). `message` is the struct of that type. */
void message_encode(enum message_type type, const void *message, struct buf *out);
/* Fills the struct of that type; slices point into `body`. Fields that are missing at the end are
 * zero; those that a newer sender has added are skipped. ERR_INVALID. */
int message_decode(enum message_type type, struct slice body, void *out_message, struct error *err);

/* Whether message_decode would take it. */
bool message_is_valid(enum message_type type, struct slice body);
/* Whether a role may send this message to another, by the table. False for unknown types. */
bool message_may_pass(enum message_type type, enum process_role from, enum process_role to);
/* The head of a message of that type; NULL: it has none. */
struct message_head *message_head_of(enum message_type type, void *message);

#endif
