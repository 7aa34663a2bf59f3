/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which images a removal takes, and how many bytes that frees: read from the ledger before anything
 * is changed. What is pushed meanwhile may make it less.
 */
#ifndef WORKER_CONTROL_PLAN_H
#define WORKER_CONTROL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ipc/message.h"
#include "oci/digest.h"
#include "oci/name.h"

struct error;
struct ledger_txn;
struct map;

#define PLAN_IMAGES_MAX 1000u /* of one request; the rest is for the next */

struct plan_wish {
    struct slice
        *images; /* patterns: REPOSITORY:TAG, REPOSITORY@DIGEST; REPOSITORY with the flags */
    size_t image_count;
    bool is_repository; /* all images of the repositories */
    bool is_untagged;   /* those without a tag */
    bool is_release;    /* and the names */
    bool keeps_children;
};

struct plan_image {
    enum take_out_kind kind;
    char origin[REGISTRY_MAX_LENGTH + 1];
    char repository[NAME_MAX_LENGTH + 1];
    char tag[TAG_MAX_LENGTH + 1];
    struct digest digest;
};

struct plan {
    struct plan_image *images;
    size_t count;
    bool has_more;
    uint64_t manifests; /* that go */
    uint64_t blobs;     /* files, those of manifests included, that nothing needs then */
    uint64_t bytes;     /* of these */
};

/* ERR_INVALID: a pattern is wrong, and the text says how one is written. The plan is empty when
 * nothing matches. */
int plan_make(const struct plan_wish *wish, struct ledger_txn *txn, struct plan *out,
              struct error *err);
void plan_cleanup(struct plan *plan);

#endif
