/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that depend on no repository. */
#include "server.h"

#include "answer.h"
#include "base/buf.h"
#include "endpoint.h"
#include "request.h"
#include "worker_state.h"

void server_answer_base(struct request *request, struct ledger_txn *txn)
{
    struct headers headers;

    (void)txn;
    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("application/json"));
    request->outcome = "registry API";
    request_respond(request, 200, &headers, SLICE_LITERAL("{}"));
}

void server_answer_options(struct request *request, struct ledger_txn *txn)
{
    AUTO_BUF struct buf methods;
    struct headers headers;

    (void)txn;
    buf_init(&methods, ALLOW_MAX);
    if (request->address.path.data) {
        endpoint_print_all_methods(&request->worker->endpoints, request->listener, &methods);
    } else {
        endpoint_print_methods(&request->worker->endpoints, &request->address,
                               request->listener == LISTENER_MIRROR, METHOD_OTHER, &methods);
    }
    headers_init(&headers);
    headers_add(&headers, "Allow", buf_bytes(&methods));
    request->outcome = "OPTIONS";
    request_respond(request, 204, &headers, slice_of(""));
}
