/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from the ledger and the disk, and the heads of blob answers wherever their bytes come
 * from. What may be answered was found with rules/visible.h. */
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

/* Which bytes of a blob the request is for. */
struct serve_plan {
    int status; /* 200, 206, 304, 416 */
    struct blob_parts parts;
};
void serve_plan_blob(const struct request *request, const struct digest *digest, uint64_t size,
                     struct serve_plan *out);
bool serve_plan_has_body(const struct serve_plan *plan);
/* Its head: begun for 200 and 206, answered whole for 304 and 416. */
void serve_blob_head(struct request *request, const struct digest *digest, uint64_t size,
                     const struct serve_plan *plan);
/* Queue a piece of the body. */
void serve_piece(struct request *request, int fd, const struct blob_piece *piece);

/* Answer with a blob that is here. False, and nothing answered, when its file is not, or damaged;
 * when it cannot be read now, that is answered. */
bool serve_blob(struct request *request, const struct digest *digest, uint64_t size);
/* HEAD of a blob of this size. */
void serve_blob_size(struct request *request, const struct digest *digest, uint64_t size);

struct serve_age {
    bool is_stale; /* marked with Warning and Age */
    uint64_t checked_ms;
    struct slice warning;
};
struct serve_body {
    struct digest digest;
    struct slice media_type;
    struct slice bytes; /* empty: in the file, or for HEAD nowhere */
    uint64_t size;
};
/* Answer with a manifest; `age` may be NULL. Without bytes, request->fd is its file (but for HEAD).
 */
void serve_manifest(struct request *request, const struct serve_body *body,
                    const struct serve_age *age);
/* Are the record's bytes here, in the ledger or in a whole file? */
bool serve_has_manifest(const struct request *request, const struct digest *digest,
                        const struct manifest_record *record);
/* The same from its record. False, and nothing answered, when its bytes are not here. */
bool serve_manifest_record(struct request *request, const struct digest *digest,
                           const struct manifest_record *record, const struct serve_age *age);
/* Warning: 299 and Age. */
void serve_mark_stale(struct headers *headers, const struct serve_age *age);

#endif
