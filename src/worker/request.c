/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is, whatever it asks for. This file is below every handler. */
#include "request.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/keeper_client.h"
#include "worker_state.h"

struct request *request_new(struct worker *worker, struct http_conn *conn,
                            const struct http_head *head, enum listener_kind listener)
{
    struct request *request = NEW(struct request);

    request->references = 1;
    request->worker = worker;
    request->config = config_ref(worker->config);
    request->conn = conn;
    request->head = head;
    request->listener = listener;
    request->id = ++worker->requests;
    request->began_us = clock_mono_us();
    request->fd = -1;
    request->client = trust_find_client(&worker->trust, head, http_conn_peer(conn));
    return request;
}

struct request *request_ref(struct request *request)
{
    request->references++;
    return request;
}

void request_unref(struct request **request)
{
    struct request *old = TAKE(*request);

    if (--old->references > 0)
        return;
    operation_cleanup(&old->operation);
    fd_close(&old->fd);
    mem_free(old->principal_name);
    mem_free(old->note);
    mem_free(old->client);
    config_unref(&old->config);
    mem_free(old);
}

void request_set_step(struct request *request, const struct request_steps *steps, void *step)
{
    request->steps = steps;
    request->step = step;
}

bool request_is_head(const struct request *request)
{
    return slice_is(request->head->method, "HEAD");
}

const char *request_client(const struct request *request)
{
    return request->client ? request->client : http_conn_peer(request->conn);
}

void request_set_actor(const struct request *request, struct keeper_call *call)
{
    char id[24];

    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)request->id);
    const struct actor actor = {
        .principal = request->principal.name,
        .address = slice_of(request_client(request)),
        .request_id = slice_of(id),
    };
    keeper_call_set_actor(call, &actor);
}
