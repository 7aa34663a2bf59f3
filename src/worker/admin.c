/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for probes and for Prometheus. */
#include "admin.h"

#include <stdio.h>

#include "answer.h"
#include "base/buf.h"
#include "base/clock.h"
#include "fetcher_client.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "request.h"
#include "store/store.h"
#include "worker_state.h"

#define METRICS_PAGE_MAX ((size_t)1024 * 1024)

static void answer_text(struct request *request, int status, struct slice text)
{
    struct headers headers;

    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("text/plain; charset=utf-8"));
    headers_add(&headers, "Cache-Control", SLICE_LITERAL("no-store"));
    request_respond(request, status, &headers, text);
}

void admin_answer_health(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    answer_text(request, 200, SLICE_LITERAL("ok\n"));
}

/* It lives, but its loop does not turn: the master aborts it in a while. 0: it never said so. */
static bool is_late(enum process_role role)
{
    uint64_t beat = metrics_sum(METRIC_heartbeat_ms, role);

    return beat != 0 && clock_mono().ms > beat + HEARTBEAT_LATE_MS;
}

/* A full disk keeps nobody from pulling. */
static void answer_up(struct request *request)
{
    struct error err;
    char text[sizeof(err.text) + 64];

    if (store_check_room(request->worker->options.store, &err) != -ERR_NO_SPACE) {
        answer_text(request, 200, SLICE_LITERAL("ok\n"));
        return;
    }
    bool is_for_pushes = slice_ends_with(request->head->target, "?pushes");
    (void)snprintf(text, sizeof(text), "%s%s; pushes are refused\n",
                   is_for_pushes ? "" : "ok, but ", err.text);
    answer_text(request, is_for_pushes ? 503 : 200, slice_of(text));
}

void admin_answer_ready(struct request *request, struct ledger_txn *txn)
{
    bool has_keeper = keeper_client_is_up(request->worker->keeper) && !is_late(ROLE_KEEPER);
    bool has_fetcher = fetcher_client_is_up(request->worker->fetcher) && !is_late(ROLE_FETCHER);

    (void)txn;
    if (request->worker->ending.is_begun)
        answer_text(request, 503, SLICE_LITERAL("the server is ending\n"));
    else if (has_keeper && has_fetcher)
        answer_up(request);
    else if (has_keeper)
        answer_text(request, 503, SLICE_LITERAL("fetcher is down\n"));
    else if (has_fetcher)
        answer_text(request, 503, SLICE_LITERAL("keeper is down\n"));
    else
        answer_text(request, 503, SLICE_LITERAL("keeper and fetcher are down\n"));
}

void admin_answer_metrics(struct request *request, struct ledger_txn *txn)
{
    AUTO_BUF struct buf page;
    struct headers headers;

    (void)txn;
    buf_init(&page, METRICS_PAGE_MAX);
    metrics_print(&page);
    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("text/plain; version=0.0.4"));
    request_respond_buf(request, 200, &headers, &page);
}
