/* SPDX-License-Identifier: Apache-2.0 */
/* Each request is counted and logged here once, when it is over. */
#include "access_log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "request.h"
#include "worker_state.h"

static void count_request(const struct request *request, uint64_t sent, uint64_t us)
{
    const char *label = request->endpoint ? request->endpoint->label : "none";
    unsigned operation = metrics_name(METRIC_NAME_operation, label);

    metrics_add_at(METRIC_operations, operation, (unsigned)request->status / 100, 1);
    metrics_observe(METRIC_operation_seconds, operation, us);
    metrics_add(METRIC_requests, 1);
    if (request->status >= 500)
        metrics_add(METRIC_requests_failed, 1);
    if (!request->endpoint || !endpoint_is_pull(request->endpoint))
        return;
    if (request->is_asked)
        metrics_add(METRIC_misses, 1);
    else if (request->source == SOURCE_DISK)
        metrics_add(METRIC_hits, 1);
    if (request->is_joined)
        metrics_add(METRIC_coalesced, 1);
    if (sent > 0)
        metrics_add(METRIC_client_bytes_sent, sent);
}

static const char *source_name(enum request_source source)
{
    switch (source) {
    case SOURCE_NONE:
        return "none";
    case SOURCE_DISK:
        return "disk";
    case SOURCE_FLIGHT:
        return "flight";
    case SOURCE_UPSTREAM:
        return "upstream";
    }
    UNREACHABLE();
}

static void log_reference(struct log_line *line, const struct operation *operation)
{
    char text[DIGEST_TEXT_SIZE];

    if (operation->tag.length > 0)
        log_slice(line, "ref", operation->tag);
    else if (operation->digest.algorithm != 0)
        log_text(line, "ref", digest_print(&operation->digest, text));
    else if (operation->upload_id.length > 0)
        log_slice(line, "ref", operation->upload_id);
}

static const char *outcome_of(const struct request *request, enum http_end end)
{
    if (request->note)
        return request->note;
    if (end == HTTP_END_REFUSED)
        return "refused while its body came";
    if (end == HTTP_END_GONE)
        return "the client went away";
    if (request->outcome)
        return request->outcome;
    return end == HTTP_END_ABORTED ? "aborted" : "answered";
}

static void print_line(const struct request *request, enum http_end end, uint64_t sent, uint64_t us)
{
    if (!request->config->log.access || !log_is_on(LOG_INFO))
        return;
    struct log_line line;
    log_begin(&line, LOG_INFO);
    log_text(&line, "log", "access");
    log_u64(&line, "conn", http_conn_id(request->conn));
    log_u64(&line, "req", request->id);
    log_text(&line, "client", http_conn_peer(request->conn));
    if (request->principal_name)
        log_slice(&line, "user", request->principal.name);
    log_slice(&line, "method", request->head->method);
    if (request->endpoint) {
        log_text(&line, "op", request->endpoint->label);
        if (request->target.name.length > 0) {
            log_slice(&line, "origin", request->target.origin);
            log_slice(&line, "repo", request->target.name);
        }
        log_reference(&line, &request->operation);
    } else {
        log_slice(&line, "target", request->head->target);
    }
    log_u64(&line, "status", (uint64_t)request->status);
    log_u64(&line, "bytes", sent);
    log_printf(&line, "ms", "%.1f", (double)us / 1000.0);
    log_text(&line, "source", source_name(request->source));
    if (request->is_joined)
        log_u64(&line, "joined", 1);
    log_end(&line, "%s", outcome_of(request, end));
}

void access_log_request(const struct request *request, enum http_end end)
{
    uint64_t sent = http_conn_sent(request->conn);
    uint64_t us = clock_mono_us() - request->began_us;

    count_request(request, sent, us);
    print_line(request, end, sent, us);
}

void access_log_refused(const struct worker *worker, const struct http_refusal *refusal,
                        const char *peer)
{
    metrics_add(METRIC_requests_refused, 1);
    if (!worker->config->log.access)
        return;
    struct log_line line;
    log_begin(&line, LOG_INFO);
    log_text(&line, "log", "access");
    log_text(&line, "client", peer);
    log_u64(&line, "status", (uint64_t)refusal->status);
    log_end(&line, "%s", refusal->reason);
}
