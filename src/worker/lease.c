/* SPDX-License-Identifier: Apache-2.0 */
/* See lease.h. The order is that of a mount into the repository that shows the blob. */
#include "lease.h"

#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "config/config.h"
#include "endpoint.h"
#include "ipc/keeper_client.h"
#include "oci/api_error.h"
#include "request.h"
#include "rules/visible.h"
#include "worker_state.h"

struct lease {
    struct request *request; /* NULL: the client is gone */
    char repository[NAME_MAX_LENGTH + 1];
    struct keeper_call call;
};

static void on_lease_gone(struct request *request)
{
    struct lease *lease = request->step;

    lease->request = NULL;
}

static const struct request_steps lease_steps = {.on_gone = on_lease_gone};

static void go_on(struct request *request)
{
    struct ledger_txn *txn = worker_read(request->worker);

    resolve_refresh(&request->target, txn);
    request->endpoint->handle(request, txn);
    worker_read_end(request->worker);
}

static void on_lease_answer(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct lease *lease = LIST_ITEM(call, struct lease, call);
    struct request *request = lease->request;
    struct error err;

    if (!answer->is_done)
        keeper_answer_error(answer, &err);
    mem_free(lease);
    if (!request)
        return;
    request_set_step(request, NULL, NULL);
    if (answer->is_done)
        go_on(request);
    else
        request_fail_error(request, &err, API_BLOB_UNKNOWN);
}

static void ask(struct request *request)
{
    struct lease *lease = NEW(struct lease);
    struct slice name = request->target.name;

    lease->request = request;
    memcpy(lease->repository, name.data, name.length);
    request_set_actor(request, &lease->call);
    lease->call.type = MESSAGE_LINK;
    lease->call.on_answer = on_lease_answer;
    lease->call.message.link = (struct message_link){
        .digest = request->operation.digest,
        .repository = slice_of(lease->repository),
    };
    request_set_step(request, &lease_steps, lease);
    keeper_client_ask(request->worker->keeper, &lease->call);
}

bool lease_hold(struct request *request, struct ledger_txn *txn, const struct blob_record *record)
{
    uint64_t now_ms = clock_wall().ms;
    uint64_t grace_ms = request->config->storage.grace_ms;
    uint64_t since_ms =
        visible_unneeded_since(&request->permit, txn, &request->operation.digest, record);

    if (since_ms == 0 || now_ms < since_ms + grace_ms)
        return true;
    ask(request);
    return false;
}
