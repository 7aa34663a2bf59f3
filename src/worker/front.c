/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a request: made with its head, dispatched, told of what its connection does, counted
 * and logged when it is over. */
#include "front.h"

#include "access_log.h"
#include "base/fd.h"
#include "dispatch.h"
#include "ipc/metrics.h"
#include "request.h"
#include "worker_state.h"

static void on_request(struct http_conn *conn, const struct http_head *head, void *arg)
{
    struct front *front = arg;
    struct request *request = request_new(front->worker, conn, head, front->kind);

    metrics_set(METRIC_requests_running, ++front->worker->running);
    http_conn_set_user(conn, request);
    dispatch(request);
}

static void on_body(struct http_conn *conn, size_t length, bool is_end)
{
    struct request *request = http_conn_user(conn);

    if (request->steps && request->steps->on_body)
        request->steps->on_body(request, length, is_end);
}

static void on_drained(struct http_conn *conn)
{
    struct request *request = http_conn_user(conn);

    if (request->steps && request->steps->on_drained)
        request->steps->on_drained(request);
    else
        http_conn_end(conn);
}

static void on_done(struct http_conn *conn, enum http_end end)
{
    struct request *request = http_conn_user(conn);

    if (request->steps && request->steps->on_gone)
        request->steps->on_gone(request);
    access_log_request(request, end);
    metrics_set(METRIC_requests_running, --request->worker->running);
    request->conn = NULL;
    request->head = NULL;
    fd_close(&request->fd);
    request_unref(&request);
}

static void on_refused(const struct http_refusal *refusal, const char *peer, void *arg)
{
    const struct front *front = arg;

    access_log_refused(front->worker, refusal, peer);
}

const struct http_handler front_handler = {
    .on_request = on_request,
    .on_body = on_body,
    .on_drained = on_drained,
    .on_done = on_done,
    .on_refused = on_refused,
};
