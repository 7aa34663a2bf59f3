/* SPDX-License-Identifier: Apache-2.0 */
/* A removal is one call to the keeper. It cannot be taken back: it outlives its client. */
#include "remove.h"

#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "condition.h"
#include "config/config.h"
#include "ipc/keeper_client.h"
#include "oci/api_error.h"
#include "request.h"
#include "worker_state.h"

struct removal {
    struct request *request; /* NULL: the client is gone */
    char repository[NAME_MAX_LENGTH + 1];
    char tag[TAG_MAX_LENGTH + 1];
    enum remove_kind kind;
    bool is_asked;
    struct keeper_call call;
};

static void on_gone(struct request *request)
{
    struct removal *removal = request->step;

    removal->request = NULL;
    if (!removal->is_asked)
        mem_free(removal);
}

static const struct request_steps removal_steps = {.on_gone = on_gone};

static void answer_refused(const struct removal *removal, const struct keeper_answer *answer)
{
    struct error err;
    struct api_error error;

    keeper_answer_error(answer, &err);
    bool is_blob = removal->kind == REMOVE_BLOB;
    bool is_named = err.kind == ERR_UNSUPPORTED || err.kind == ERR_DENIED;
    if (!is_blob && err.kind == ERR_CONFLICT) {
        condition_fail(removal->request);
        return;
    }
    if (is_named)
        api_error_set(&error, API_UNSUPPORTED, "%s", err.text);
    else
        api_error_from(&error, &err, is_blob ? API_BLOB_UNKNOWN : API_MANIFEST_UNKNOWN);
    request_fail(removal->request, &error);
}

static void on_removal_answer(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct removal *removal = LIST_ITEM(call, struct removal, call);
    struct headers headers;

    removal->is_asked = false;
    if (!removal->request) {
        mem_free(removal);
        return;
    }
    if (!answer->is_done) {
        answer_refused(removal, answer);
        return;
    }
    request_headers(removal->request, &headers);
    removal->request->outcome = "removed";
    request_respond(removal->request, 202, &headers, slice_of(""));
}

static void removal_begin(struct request *request, struct ledger_txn *txn, enum remove_kind kind)
{
    struct digest current;
    bool is_there = condition_find_current(request, txn, &current);

    /* What is not there is answered 404, whatever the condition. */
    if (is_there && !condition_may_write(request, &current))
        return;
    struct removal *removal = NEW(struct removal);
    const struct operation *operation = &request->operation;
    struct slice name = request->target.name;
    removal->request = request;
    removal->kind = kind;
    memcpy(removal->repository, name.data, name.length);
    if (kind == REMOVE_TAG)
        memcpy(removal->tag, operation->tag.data, operation->tag.length);
    request_set_actor(request, &removal->call);
    removal->call.type = MESSAGE_REMOVE;
    removal->call.on_answer = on_removal_answer;
    removal->call.message.remove = (struct message_remove){
        .kind = kind,
        .repository = slice_of(removal->repository),
        .tag = slice_of(removal->tag),
    };
    if (kind != REMOVE_TAG) {
        removal->call.message.remove.digest = operation->digest;
    } else if (is_there && condition_is_set(request)) {
        removal->call.message.remove.is_conditional = 1;
        removal->call.message.remove.digest = current;
    }
    removal->is_asked = true;
    request_set_step(request, &removal_steps, removal);
    keeper_client_ask(request->worker->keeper, &removal->call);
}

/* If the name is only cached, the answer says that it is an upstream's. */
static void fail_unknown(struct request *request, struct ledger_txn *txn)
{
    struct resolved *target = &request->target;
    struct resolved cached;
    struct permit ignored;
    struct api_error error;

    if (!target->is_bare || !resolve_cached_namesake(request->config, txn, target->name, &cached) ||
        authorize_other(&request->permit, &cached, ACTION_PULL, &ignored, &error) != 0) {
        request_fail_unknown(request, txn, API_NAME_UNKNOWN);
        return;
    }
    /* The answer is about the upstream's repository, also in its headers. */
    (void)resolve_cached_namesake(request->config, txn, request->operation.name, target);
    (void)resolve_refuse_write(target, &error);
    request_fail(request, &error);
}

static bool may_remove(struct request *request, struct ledger_txn *txn)
{
    if (!request->config->hosted.may_delete) {
        request_failf(request, API_UNSUPPORTED, "deleting is disabled (`hosted.delete`)");
        return false;
    }
    if (!request->target.is_known) {
        fail_unknown(request, txn);
        return false;
    }
    return true;
}

void remove_manifest(struct request *request, struct ledger_txn *txn)
{
    if (may_remove(request, txn))
        removal_begin(request, txn, request->operation.by_digest ? REMOVE_MANIFEST : REMOVE_TAG);
}

void remove_blob(struct request *request, struct ledger_txn *txn)
{
    if (may_remove(request, txn))
        removal_begin(request, txn, REMOVE_BLOB);
}
