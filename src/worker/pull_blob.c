/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Here and visible: from disk. Hosted and not here: 404. Cached: from a flight; its size alone for
 * HEAD.
 */
#include "pull_blob.h"

#include "ask.h"
#include "condition.h"
#include "config/config.h"
#include "fetch_error.h"
#include "follow.h"
#include "oci/api_error.h"
#include "request.h"
#include "serve.h"
#include "wait.h"
#include "worker_state.h"

#define TRIES_MAX 2

/* ---- HEAD of what is not here: the size alone ---- */

static void on_size(struct request *request, enum message_type type, const void *message)
{
    if (type == MESSAGE_ANSWER) {
        const struct message_answer *answer = message;
        request->source = SOURCE_UPSTREAM;
        request->outcome = "the upstream has it";
        serve_blob_size(request, &request->operation.digest, answer->size);
    } else if (type == MESSAGE_FAILED) {
        fetch_error_answer(request, message, API_BLOB_UNKNOWN);
    } else {
        pull_blob_again(request);
    }
}

static void ask_size(struct request *request)
{
    struct ask_question question = {
        .kind = JOIN_BLOB_SIZE,
        .origin = request->target.origin,
        .repository = request->target.name,
        .digest = request->operation.digest,
    };
    wait_for_answer(request, &question, request->worker->options.config->fetch.deadline, on_size);
}

/* ---- */

static uint64_t size_in_manifest(struct ledger_txn *txn, const struct request *request)
{
    const struct digest *digest = &request->operation.digest;
    struct manifest_record record;
    struct reference reference;
    struct digest parent;
    if (!request->target.is_known ||
        !referred_find_parent(txn, request->target.repository.id, digest, &parent) ||
        !manifest_find(txn, &parent, &record))
        return UINT64_MAX;
    while (reference_list_next(&record.references, &reference)) {
        if (digest_equal(&reference.digest, digest))
            return reference.size;
    }
    return UINT64_MAX;
}

static void miss(struct request *request, struct ledger_txn *txn)
{
    uint64_t size = size_in_manifest(txn, request);
    if (!request_is_head(request)) {
        follow_join(request->worker->follows, request, size);
    } else if (size != UINT64_MAX) {
        request->outcome = "named by a manifest of the repository";
        serve_blob_size(request, &request->operation.digest, size);
    } else {
        ask_size(request);
    }
}

static bool serve_visible(struct request *request, struct ledger_txn *txn,
                          const struct resolved *target)
{
    struct blob_record record;
    const struct digest *digest = &request->operation.digest;
    return serve_find_blob(txn, target, digest, &record) &&
           (!condition_may_read(request, digest) || serve_blob(request, digest, record.size));
}

void pull_blob(struct request *request, struct ledger_txn *txn)
{
    const struct resolved *target = &request->target;
    if (serve_visible(request, txn, target))
        return;
    if (target->upstream) {
        miss(request, txn);
        return;
    }
    struct resolved twin = {.is_bare = true};
    if (target->is_bare && !request_is_head(request) &&
        resolve_cached_twin(request->worker->options.config, txn, target->name, &twin) &&
        serve_visible(request, txn, &twin))
        return;
    request_fail_unknown(request, txn, API_BLOB_UNKNOWN);
}

void pull_blob_again(struct request *request)
{
    struct ledger_txn *txn = worker_read(request->worker);
    request->tries++;
    resolve_refresh(&request->target, txn);
    if (serve_visible(request, txn, &request->target)) {
        worker_read_end(request->worker);
        return;
    }
    if (request->tries < TRIES_MAX) {
        miss(request, txn);
    } else {
        struct api_error error;
        api_error_set_status(&error, API_UNAVAILABLE, 502,
                             "the blob was brought, but cannot be read from the store");
        request_fail(request, &error);
    }
    worker_read_end(request->worker);
}
