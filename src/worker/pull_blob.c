/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET and HEAD of a blob. A blob that is here and visible in the repository is served from disk.
 * One that is not is 404 in a hosted repository; in a cached one GET follows a flight, and HEAD
 * asks for the size alone.
 */
#include "pull_blob.h"

#include "answer.h"
#include "condition.h"
#include "config/config.h"
#include "fetch_error.h"
#include "follow.h"
#include "lease.h"
#include "oci/api_error.h"
#include "oci/reference_list.h"
#include "question.h"
#include "request.h"
#include "rules/visible.h"
#include "serve.h"
#include "wait.h"
#include "worker_state.h"

#define PARENTS_MAX 8 /* manifests that are looked at for a size */

/* ---- HEAD of what is not here: the size alone ---- */

/* HEAD by a bare name may be a pusher's question: nothing but the repository's own blobs, or the
 * upstream's word about this repository, may tell it that a blob is here. */
static bool is_pushers_question(const struct request *request)
{
    return request_is_head(request) && request->target.is_bare &&
           request->listener != LISTENER_MIRROR && request->target.truth == TRUTH_UPSTREAM;
}

static void fail_size(struct request *request, const struct message_failed *failure)
{
    if (is_pushers_question(request))
        request_failf(request, API_BLOB_UNKNOWN, "%.*s", SLICE_PRINT(failure->text));
    else
        fetch_error_answer(request, failure, API_BLOB_UNKNOWN);
}

static void on_size(struct request *request, enum message_type type, const void *message)
{
    if (type == MESSAGE_ANSWER) {
        const struct message_answer *answer = message;

        request->source = SOURCE_UPSTREAM;
        request->outcome = "the upstream has it";
        serve_blob_size(request, &request->operation.digest, answer->size);
    } else if (type == MESSAGE_FAILED) {
        fail_size(request, message);
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

/* ---- the size that manifests of the repository say ---- */

struct said_size {
    const struct permit *permit;
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
    if (!visible_own_manifest(said->permit, said->txn, parent, &record))
        return true;
    while (reference_list_next(&record.references, &reference)) {
        if (!digest_equal(&reference.digest, said->digest) ||
            reference.size == DESCRIPTOR_SIZE_UNKNOWN)
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
    struct said_size said = {
        .permit = &request->permit,
        .txn = txn,
        .digest = &request->operation.digest,
        .size = UINT64_MAX,
    };

    visible_parent_each(&request->permit, txn, said.digest, on_parent, &said);
    return said.is_disputed ? UINT64_MAX : said.size;
}

static void handle_miss(struct request *request, struct ledger_txn *txn)
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

/* Only what a repository of our own shows itself may be left out of a push to it. */
static bool is_lent(const struct request *request, const struct permit *permit)
{
    return request_is_head(request) && request->target.truth == TRUTH_HOSTED &&
           permit == &request->permit;
}

static bool serve_visible(struct request *request, struct ledger_txn *txn,
                          const struct permit *permit)
{
    struct blob_record record;
    const struct digest *digest = &request->operation.digest;

    if (is_pushers_question(request) && (visible_links(permit, txn, digest) & LINK_BLOB) == 0)
        return false;
    if (visible_blob(permit, txn, digest, &record) != VISIBLE_HERE)
        return false;
    if (is_lent(request, permit) && !lease_hold(request, txn, &record))
        return true; /* the handler is called again */
    return !condition_may_read(request, digest) || serve_blob(request, digest, &record);
}

void pull_blob(struct request *request, struct ledger_txn *txn)
{
    struct resolved namesake;
    struct permit permit;

    if (!serve_may_range(request, &request->operation.digest) ||
        serve_visible(request, txn, &request->permit))
        return;
    if (resolved_sources(&request->target) != 0) {
        handle_miss(request, txn);
        return;
    }
    if (serve_may_ask_namesake(request, txn, &namesake, &permit) &&
        serve_visible(request, txn, &permit))
        return;
    request_fail_unknown(request, txn, API_BLOB_UNKNOWN);
}

void pull_blob_again(struct request *request)
{
    struct ledger_txn *txn = worker_read(request->worker);

    request->tries++;
    resolve_refresh(&request->target, txn);
    if (serve_visible(request, txn, &request->permit)) {
        worker_read_end(request->worker);
        return;
    }
    if (request->tries < REQUEST_TRIES_MAX) {
        handle_miss(request, txn);
    } else {
        struct api_error error;

        api_error_set_status(&error, API_UNAVAILABLE, 502,
                             "the blob was fetched, but cannot be read from the store");
        request_fail(request, &error);
    }
    worker_read_end(request->worker);
}
