/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Here and visible: from disk. Hosted and not here: 404. Cached: from a flight; its size alone for
 * HEAD.
 */
#include "pull_blob.h"

#include "answer.h"
#include "condition.h"
#include "config/config.h"
#include "fetch_error.h"
#include "follow.h"
#include "oci/api_error.h"
#include "oci/reference_list.h"
#include "question.h"
#include "request.h"
#include "serve.h"
#include "wait.h"
#include "worker_state.h"

#define TRIES_MAX   2
#define PARENTS_MAX 8 /* looked at */

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
    struct question_subject subject = {
        .kind = JOIN_BLOB_SIZE,
        .origin = request->target.origin,
        .repository = request->target.name,
        .digest = request->operation.digest,
    };
    wait_for_answer(request, &subject, request->config->fetch.deadline, on_size);
}

/* ---- */

struct said_size {
    struct ledger_txn *txn;
    const struct digest *digest;
    uint64_t size; /* UINT64_MAX: unknown */
    bool is_disputed;
    unsigned parents;
};

static bool on_parent(const struct digest *parent, unsigned kinds, void *arg)
{
    struct said_size *said = arg;
    struct manifest_record record;
    struct reference reference;
    (void)kinds;
    if (!manifest_find(said->txn, parent, &record))
        return true;
    while (reference_list_next(&record.references, &reference)) {
        if (!digest_equal(&reference.digest, said->digest))
            continue;
        if (said->size != UINT64_MAX && said->size != reference.size)
            said->is_disputed = true;
        said->size = reference.size;
    }
    return !said->is_disputed && ++said->parents < PARENTS_MAX;
}

/* UINT64_MAX: no manifest of the repository says it, or two say different ones. */
static uint64_t size_in_manifest(struct ledger_txn *txn, const struct request *request)
{
    struct said_size said = {.txn = txn, .digest = &request->operation.digest, .size = UINT64_MAX};
    if (request->target.is_known)
        referred_each(txn, request->target.repository.id, said.digest, on_parent, &said);
    return said.is_disputed ? UINT64_MAX : said.size;
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
    struct resolved namesake = {.is_bare = true};
    if (target->is_bare && !request_is_head(request) &&
        resolve_cached_namesake(request->config, txn, target->name, &namesake) &&
        serve_visible(request, txn, &namesake))
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
