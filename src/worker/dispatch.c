/* SPDX-License-Identifier: Apache-2.0 */
/* The steps every request of the API takes before its handler, in one order. */
#include "dispatch.h"

#include "admin.h"
#include "answer.h"
#include "base/check.h"
#include "base/clock.h"
#include "config/config.h"
#include "lists.h"
#include "oci/api_error.h"
#include "pull_blob.h"
#include "pull_manifest.h"
#include "push_manifest.h"
#include "referrers.h"
#include "remove.h"
#include "request.h"
#include "store/ledger.h"
#include "upload.h"
#include "worker_state.h"

/* There are no users yet. */
static int authenticate(struct request *request, struct api_error *error)
{
    (void)error;
    request->principal = principal_anonymous();
    return 0;
}

static enum action action_of(const struct operation *operation)
{
    switch (operation->kind) {
    case OPERATION_UPLOAD_START:
    case OPERATION_UPLOAD:
        return ACTION_PUSH;
    case OPERATION_MANIFEST:
    case OPERATION_BLOB:
        if (operation->method == METHOD_DELETE)
            return ACTION_DELETE;
        return operation->method == METHOD_PUT ? ACTION_PUSH : ACTION_PULL;
    case OPERATION_TAGS:
    case OPERATION_REFERRERS:
        return ACTION_LIST;
    case OPERATION_BASE:
    case OPERATION_CATALOG:
        break;
    }
    UNREACHABLE();
}

static void answer_base(struct request *request)
{
    struct headers headers;
    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("application/json"));
    request->outcome = "registry API";
    request_respond(request, 200, &headers, SLICE_LITERAL("{}"));
}

static void handle_manifest(struct request *request, struct ledger_txn *txn)
{
    if (request->operation.method == METHOD_PUT) {
        push_manifest(request, txn);
    } else if (request->operation.method == METHOD_DELETE) {
        remove_manifest(request, txn);
    } else {
        pull_manifest(request, txn);
    }
}

static void handle_blob(struct request *request, struct ledger_txn *txn)
{
    if (request->operation.method == METHOD_DELETE) {
        remove_blob(request, txn);
    } else {
        pull_blob(request, txn);
    }
}

static void handle(struct request *request, struct ledger_txn *txn)
{
    switch (request->operation.kind) {
    case OPERATION_BASE:
    case OPERATION_CATALOG:
        UNREACHABLE();
    case OPERATION_TAGS:
        list_tags(request, txn);
        return;
    case OPERATION_MANIFEST:
        handle_manifest(request, txn);
        return;
    case OPERATION_BLOB:
        handle_blob(request, txn);
        return;
    case OPERATION_UPLOAD_START:
        upload_start(request, txn);
        return;
    case OPERATION_UPLOAD:
        upload_continue(request);
        return;
    case OPERATION_REFERRERS:
        list_referrers(request, txn);
        return;
    }
}

static void resolve_and_handle(struct request *request, struct ledger_txn *txn)
{
    struct api_error error;
    struct resolve_question question = {
        .config = request->config,
        .operation = &request->operation,
        .action = action_of(&request->operation),
        .is_mirror = request->listener == LISTENER_MIRROR,
        .now_ms = clock_wall().ms,
    };
    if (ledger_error(txn)) {
        request_fail_unknown(request, txn, API_UNKNOWN);
        return;
    }
    if (resolve(&question, txn, &request->target, &error) != 0 ||
        authorize(&request->worker->options.authorizer, &request->principal, &request->target,
                  question.action, &request->permit, &error) != 0) {
        request_fail(request, &error);
        return;
    }
    handle(request, txn);
}

/* OPTIONS of the server as a whole (RFC 9110 9.3.7). */
static void answer_options(struct request *request)
{
    struct headers headers;
    headers_init(&headers);
    headers_add(&headers, "Allow", SLICE_LITERAL("GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS"));
    request->outcome = "told which methods there are";
    request_respond(request, 204, &headers, slice_of(""));
}

void dispatch(struct request *request)
{
    if (request->listener == LISTENER_ADMIN) {
        admin_answer(request);
        return;
    }
    if (slice_is(request->head->target, "*")) {
        answer_options(request);
        return;
    }
    const struct config *config = request->config;
    struct operation_limits limits = {
        .parameters = (unsigned)config->limits.query_parameters,
        .tags = (unsigned)config->limits.tags_per_push,
    };
    struct api_error error;
    if (operation_parse(&request->operation, request->head->method, request->head->target, &limits,
                        &error) != 0 ||
        authenticate(request, &error) != 0) {
        request_fail(request, &error);
        return;
    }
    request->is_parsed = true;
    if (request->operation.kind == OPERATION_BASE) {
        answer_base(request);
        return;
    }
    struct ledger_txn *txn = worker_read(request->worker);
    if (request->operation.kind == OPERATION_CATALOG) {
        list_catalog(request, txn);
    } else {
        resolve_and_handle(request, txn);
    }
    worker_read_end(request->worker);
}
