/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from the ledger and from disk, and the heads of blob answers, wherever their bytes come
 * from. The caller has found with rules/visible.h that the content may be answered. */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "blob_parts.h"
#include "store/ledger.h"

struct headers;
struct permit;
struct request;
struct resolved;

/* A GET by digest of a bare hosted name may be answered from the cached repository of the same
 * name: *namesake and a permit for it. */
bool serve_may_ask_namesake(const struct request *request, struct ledger_txn *txn,
                            struct resolved *namesake, struct permit *out);

/* False: the request asks for more ranges than are served at once, and was answered. Asked before
 * anything is done for it. */
bool serve_may_range(struct request *request, const struct digest *digest);

/* Which bytes of a blob the request asks for, and how it is answered. */
struct serve_plan {
    int status;              /* 200, 206, 304, 416 */
    struct blob_parts parts; /* the caller's: blob_parts_cleanup, or it moves them */
};
void serve_plan_blob(const struct request *request, const struct digest *digest, uint64_t size,
                     struct serve_plan *out);
bool serve_plan_has_body(const struct serve_plan *plan);
/* Sends the head: 200 and 206 are begun, 304 and 416 are answered whole. The request's Range is not
 * read after it. */
void serve_blob_head(struct request *request, const struct digest *digest, uint64_t size,
                     const struct serve_plan *plan);
/* Queues a piece of the body; `fd` is borrowed until it is sent. */
void serve_piece(struct request *request, int fd, const struct blob_piece *piece);

/* Answers with a stored blob. Returns false, with nothing answered, when its file is missing or
 * damaged. A file that cannot be opened now (no descriptors, a failing disk) is answered 503. The
 * request may have to wait until the file's bytes were compared: then its handler is called again,
 * from the beginning. */
bool serve_blob(struct request *request, const struct digest *digest,
                const struct blob_record *record);
/* Answers HEAD of a blob of this size. */
void serve_blob_size(struct request *request, const struct digest *digest, uint64_t size);

/* How old the content of an answer is. */
struct serve_age {
    bool is_stale;        /* the answer has Warning and Age */
    uint64_t checked_ms;  /* wall clock of the upstream's last word; 0: unknown */
    struct slice warning; /* why it is served stale */
};

/* A manifest to answer with. */
struct serve_body {
    struct digest digest;
    struct slice media_type;
    struct slice bytes; /* empty: request->fd is its file; for HEAD there may be neither */
    uint64_t size;
};
/* Answers with a manifest; `age` may be NULL. */
void serve_manifest(struct request *request, const struct serve_body *body,
                    const struct serve_age *age);
/* Are the record's bytes here, in the ledger or in a file that is right? False: it is not known
 * yet, and the request waits as for serve_blob, or was answered. */
bool serve_find_manifest(struct request *request, struct ledger_txn *txn,
                         const struct digest *digest, const struct manifest_record *record,
                         bool *out_is_here);
/* Answers with a manifest from its record. Returns false, with nothing answered, when its bytes are
 * not here. One that is read from its file is compared with its digest first: the request waits as
 * for serve_blob. */
bool serve_manifest_record(struct request *request, struct ledger_txn *txn,
                           const struct digest *digest, const struct manifest_record *record,
                           const struct serve_age *age);
/* Adds Warning and Age. */
void serve_mark_stale(struct headers *headers, const struct serve_age *age);

#endif
