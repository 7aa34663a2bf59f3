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

#define AGENT_MAX 200

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

    bool has_digest = operation->digest.algorithm != 0;

    if (operation->tag.length > 0)
        log_slice(line, "ref", operation->tag);
    else if (has_digest)
        log_text(line, "ref", digest_print(&operation->digest, text));
    else if (operation->upload_id.length > 0)
        log_slice(line, "ref", operation->upload_id);
}

/* What a push has made, when its address does not say so. */
static void log_digest(struct log_line *line, const struct request *request)
{
    char text[DIGEST_TEXT_SIZE];
    const struct digest *digest = &request->pushed;

    if (digest->algorithm != 0)
        log_text(line, "digest", digest_print(digest, text));
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

/* Probes come every few seconds, and say something only when they fail. */
static enum log_level level_of_request(const struct request *request)
{
    bool is_probe = request->listener == LISTENER_ADMIN && request->status < 400;

    return is_probe ? LOG_DEBUG : LOG_INFO;
}

static void log_agent(struct log_line *line, const struct request *request)
{
    const struct slice *agent = http_head_find(request->head, "User-Agent");

    if (agent && agent->length > 0) {
        log_slice(line, "agent",
                  slice_from(agent->data, agent->length < AGENT_MAX ? agent->length : AGENT_MAX));
    }
}

static void print_line(const struct request *request, enum http_end end, uint64_t sent, uint64_t us)
{
    enum log_level level = level_of_request(request);

    if (!request->config->log.access || !log_is_on(level))
        return;
    struct log_line line;
    log_begin(&line, level);
    log_text(&line, "log", "access");
    log_u64(&line, "conn", http_conn_id(request->conn));
    log_u64(&line, "req", request->id);
    log_text(&line, "client", request_client(request));
    if (request->client)
        log_text(&line, "proxy", http_conn_peer(request->conn));
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
        log_digest(&line, request);
    } else {
        log_slice(&line, "target", request->head->target);
    }
    log_u64(&line, "status", (uint64_t)request->status);
    log_u64(&line, "bytes", sent);
    log_ms(&line, "ms", us);
    log_text(&line, "source", source_name(request->source));
    if (request->is_joined)
        log_u64(&line, "joined", 1);
    log_agent(&line, request);
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
