/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's pages: each is made anew for every request. */
#include "admin.h"

#include "answer.h"
#include "base/buf.h"
#include "fetch_link.h"
#include "ipc/metrics.h"
#include "keep_link.h"
#include "request.h"
#include "worker_state.h"

#define METRICS_PAGE_MAX ((size_t)1024 * 1024)

static void answer_text(struct request *request, int status, struct slice text)
{
    struct headers headers;
    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("text/plain; charset=utf-8"));
    headers_add(&headers, "Cache-Control", SLICE_LITERAL("no-store"));
    if (status == 405)
        headers_add(&headers, "Allow", SLICE_LITERAL("GET, HEAD"));
    request_respond(request, status, &headers, text);
}

static void answer_ready(struct request *request)
{
    bool has_keeper = keep_link_is_up(request->worker->keeper);
    bool has_fetcher = fetch_link_is_up(request->worker->fetcher);
    if (has_keeper && has_fetcher) {
        answer_text(request, 200, SLICE_LITERAL("ok\n"));
    } else if (has_keeper) {
        answer_text(request, 503, SLICE_LITERAL("fetcher is down\n"));
    } else if (has_fetcher) {
        answer_text(request, 503, SLICE_LITERAL("keeper is down\n"));
    } else {
        answer_text(request, 503, SLICE_LITERAL("keeper and fetcher are down\n"));
    }
}

static void answer_metrics(struct request *request)
{
    AUTO_BUF struct buf page;
    buf_init(&page, METRICS_PAGE_MAX);
    metrics_print(&page);
    struct headers headers;
    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("text/plain; version=0.0.4"));
    request_respond_buf(request, 200, &headers, &page);
}

void admin_answer(struct request *request)
{
    struct slice path = request->head->target;
    ptrdiff_t query = slice_find(path, '?');
    if (query >= 0)
        path.length = (size_t)query;
    if (!http_method_is_known(request->head->method)) {
        answer_text(request, 501, SLICE_LITERAL("unknown method\n"));
    } else if (!slice_is(request->head->method, "GET") && !request_is_head(request)) {
        answer_text(request, 405, SLICE_LITERAL("only GET and HEAD\n"));
    } else if (slice_is(path, "/healthz")) {
        answer_text(request, 200, SLICE_LITERAL("ok\n"));
    } else if (slice_is(path, "/readyz")) {
        answer_ready(request);
    } else if (slice_is(path, "/metrics")) {
        answer_metrics(request);
    } else {
        answer_text(request, 404, SLICE_LITERAL("there are /healthz, /readyz and /metrics\n"));
    }
}
