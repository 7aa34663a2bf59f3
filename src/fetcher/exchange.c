/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See exchange.h.
 *
 *        +------------- 401, once -- token -------- <---+
 *        v                                              |
 *   transfer --head--> ANSWER: head and bytes go to the caller
 *        ^               |---> REDIRECT: read the rest, go there
 *        +---------------+---> CHALLENGE: read the rest, get a token
 *                        +---> REFUSAL: read the rest, ask the next address, or the end
 *
 * What the head decided is done in on_done, when libcurl is out of the way and the connection is
 * free again. The rest is read for the connection's sake alone, and only for a second.
 */
#include "exchange.h"

#include "address.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "bearer.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "oci/challenge.h"
#include "oci/media_type.h"
#include "role.h"
#include "upstream.h"

#define REDIRECTS_MAX    5
#define TOKENS_MAX       1 /* a question: one that is fresh and refused will be refused again */
#define REFUSED_BODY_MAX (64ul * 1024)
#define REFUSED_BODY_MS  1000
#define PATIENCE_STEP_MS 200

enum exchange_next {
    NEXT_NOTHING, /* no head yet, or the transfer failed */
    NEXT_ANSWER,
    NEXT_REDIRECT,
    NEXT_CHALLENGE,
    NEXT_REFUSAL,
};

struct exchange {
    struct list link; /* of the upstream's queue */
    bool is_running;  /* counted as one of its connections */
    struct upstream *upstream;
    const struct exchange_handler *handler;
    void *arg;
    enum transfer_method method;
    char *repository;
    char *path;
    char *accept;
    uint64_t range_start;
    enum exchange_kind kind;
    bool is_blob; /* limits are about manifests; a refused blob says nothing about the next */
    struct monotime ends_at;
    struct monotime began_at;  /* this transfer */
    size_t url_index;          /* of the upstream's addresses */
    size_t asked;              /* of them, or passed over */
    struct exchange_end doubt; /* why a no is not that of all; ERR_NONE: it is */
    char *url;                 /* where we are now */
    struct url_parts parts;
    struct transfer *transfer;
    struct timer *patience; /* until the breaker lets it go on; NULL: never needed */
    struct monotime patient_until;
    struct token_wait *wait;
    enum exchange_next next;
    struct challenge *challenge;
    unsigned redirects;
    unsigned tokens;       /* asked for */
    bool sends_basic;      /* the upstream wants a password with every request */
    bool with_credentials; /* this transfer */
    size_t refused_bytes;
    struct exchange_end end;
};

static bool begin(struct exchange *exchange);
static void send_request(struct exchange *exchange);
static void run(void *arg);

static struct loop *loop_of(const struct exchange *exchange)
{
    return exchange->upstream->fetcher->options.loop;
}

/* Downloads take long: they have three of four connections at most, so that what is asked in a word
 * need not wait for them. */
static bool may_run(const struct exchange *exchange)
{
    const struct upstream *upstream = exchange->upstream;
    size_t limit = upstream->fetcher->config->fetch.connections;
    size_t kept = limit < 4 ? limit / 2 : limit / 4;
    size_t downloads = 0;

    return upstream_running(upstream, &downloads) < limit &&
           (exchange->kind != EXCHANGE_DOWNLOAD || downloads < limit - kept);
}

static void occupy(struct exchange *exchange)
{
    exchange->is_running = true;
    exchange->upstream->running++;
    if (exchange->kind == EXCHANGE_DOWNLOAD)
        exchange->upstream->downloads++;
}

static bool start_first(struct upstream *upstream)
{
    LIST_EACH (link, &upstream->queue) {
        struct exchange *next = LIST_ITEM(link, struct exchange, link);
        if (!may_run(next))
            continue;
        list_remove(&next->link);
        occupy(next);
        loop_defer(loop_of(next), run, next);
        return true;
    }
    return false;
}

/* The connection is free for the first in the queue that may have it. */
static void release(struct exchange *exchange)
{
    struct upstream *upstream = exchange->upstream;

    CHECK(upstream->running > 0);
    upstream->running--;
    if (exchange->kind == EXCHANGE_DOWNLOAD)
        upstream->downloads--;
    struct upstream *current = upstream_current(upstream);
    if (!start_first(upstream) && current && current != upstream)
        (void)start_first(current);
}

static void exchange_free(struct exchange *exchange)
{
    loop_cancel_deferred(loop_of(exchange), exchange);
    list_remove(&exchange->link);
    if (exchange->is_running)
        release(exchange);
    transfer_cancel(&exchange->transfer);
    bearer_cancel(&exchange->wait);
    timer_free(&exchange->patience);
    mem_free(exchange->challenge);
    mem_free(exchange->repository);
    mem_free(exchange->path);
    mem_free(exchange->accept);
    mem_free(exchange->url);
    upstream_unref(&exchange->upstream);
    mem_free(exchange);
}

static void finish(void *arg)
{
    struct exchange *exchange = arg;

    if (exchange->end.err.kind != ERR_NONE && exchange->end.err.kind != ERR_CANCELLED)
        metrics_add(METRIC_upstream_failures, 1);
    exchange->handler->on_done(&exchange->end, exchange->arg);
    exchange_free(exchange);
}

static void finish_later(struct exchange *exchange)
{
    loop_defer(loop_of(exchange), finish, exchange);
}

/* Are we talking to the upstream itself? Only then is its word about the repository believed, its
 * failure counted, its token shown. */
static bool is_at_home(const struct exchange *exchange)
{
    return upstream_trusts(exchange->upstream, &exchange->parts) == HOST_OWN;
}

static struct breaker *breaker_of(struct exchange *exchange)
{
    return &exchange->upstream->urls[exchange->url_index].breaker;
}

/* ---- the head ---- */

/* "100;w=21600": the number before the semicolon. */
static void read_pulls_left(struct upstream *upstream, struct slice headers)
{
    struct slice value;
    struct slice number;
    struct error err;
    uint64_t left = 0;

    if (!transfer_header(headers, "ratelimit-remaining", &value) ||
        !slice_split(&value, ';', &number) || text_parse_u64(slice_trim(number), &left, &err) != 0)
        return;
    if (left < 10 && (upstream->pulls_left >= 10 || left == 0) && left != upstream->pulls_left) {
        struct log_line line;
        log_begin(&line, LOG_WARN);
        log_text(&line, "origin", upstream->config->name);
        log_u64(&line, "pulls_left", left);
        log_end(&line, "the upstream's pull budget is nearly used up");
    }
    upstream->pulls_left = left;
}

static void judge_busy(struct exchange *exchange, const struct transfer_response *response)
{
    struct upstream *upstream = exchange->upstream;
    uint64_t seconds = upstream_read_busy(response->headers);

    exchange->end.retry_after = seconds;
    error_set(&exchange->end.err, ERR_BUSY, "%s answered 429 (too many requests)",
              upstream->config->name);
    if (is_at_home(exchange) && !exchange->is_blob)
        upstream->urls[exchange->url_index].busy_until = monotime_add(clock_mono(), seconds * 1000);
}

/* 500 may be one repository's trouble, and 501 is one method's; these are the whole address's. */
static bool is_down(int status)
{
    return status >= 502 && status <= 504;
}

static void judge_refusal(struct exchange *exchange, const struct transfer_response *response)
{
    struct exchange_end *end = &exchange->end;
    const char *name = exchange->upstream->config->name;
    enum error_kind kind = ERR_UPSTREAM;
    bool is_home = is_at_home(exchange);

    if (response->status == 429) {
        judge_busy(exchange, response);
        return;
    }
    if (response->status == 416) {
        kind = ERR_CONFLICT;
    } else if (is_home && (response->status == 404 || response->status == 410)) {
        kind = ERR_NOT_FOUND;
    } else if (is_home && response->status == 401) {
        kind = ERR_UNAUTHORIZED;
    } else if (is_home && (response->status == 403 || response->status == 451)) {
        kind = ERR_DENIED;
    }
    /* 501 is about the method, as 405: not implemented now is not implemented in a second. */
    end->is_final = is_home && ((response->status >= 400 && response->status < 500 &&
                                 response->status != 408 && response->status != 416) ||
                                response->status == 501);
    if (response->status >= 500) {
        end->retry_after = upstream_read_retry_after(response->headers);
        if (is_home && is_down(response->status))
            breaker_failed(breaker_of(exchange), exchange->began_at);
    }
    error_set(&end->err, kind, "%s answered %d", name, response->status);
}

/* Challenges may be in several fields (RFC 9110 11.6.1); one that is not for us, or makes no sense,
 * says nothing about the others. */
static bool read_challenge(struct slice headers, struct challenge *out)
{
    struct slice value;
    struct challenge one;
    struct error err;
    bool is_found = false;

    while (transfer_next_header(&headers, "WWW-Authenticate", &value)) {
        if (challenge_parse(value, &one, &err) != 0)
            continue;
        if (!is_found || (out->scheme == CHALLENGE_BASIC && one.scheme == CHALLENGE_BEARER))
            *out = one;
        is_found = true;
    }
    return is_found;
}

/* True when there is a challenge to answer; `challenge` is set. */
static bool judge_challenge(struct exchange *exchange, const struct transfer_response *response)
{
    if (response->status != 401 || !is_at_home(exchange))
        return false;
    if (!exchange->challenge)
        exchange->challenge = NEW(struct challenge);
    if (!read_challenge(response->headers, exchange->challenge))
        return false;
    switch (exchange->challenge->scheme) {
    case CHALLENGE_BASIC:
        return upstream_has_credentials(exchange->upstream) && !exchange->sends_basic;
    case CHALLENGE_BEARER:
        return exchange->tokens < TOKENS_MAX;
    }
    return false;
}

/* Resolve a Location against where we are; false when it is not one. */
static bool resolve_location(struct exchange *exchange, struct slice location)
{
    AUTO_BUF struct buf url;
    struct url_parts parts;

    buf_init(&url, 8192);
    if (slice_starts_with(location, "//")) {
        buf_printf(&url, "%s:", exchange->parts.is_https ? "https" : "http");
    } else if (slice_starts_with(location, "/")) {
        buf_printf(&url, "%s://%.*s", exchange->parts.is_https ? "https" : "http",
                   SLICE_PRINT(exchange->parts.authority));
    }
    buf_append_slice(&url, location);
    if (url.is_over || !url_split(buf_bytes(&url), &parts))
        return false;
    struct error *err = &exchange->end.err;
    if (upstream_check_url(exchange->upstream, &parts, err) != 0) {
        error_wrap(err, "redirect");
        return false;
    }
    mem_free(exchange->url);
    exchange->url = slice_dup(buf_bytes(&url));
    return url_split(slice_of(exchange->url), &exchange->parts);
}

static void judge_redirect(struct exchange *exchange, const struct transfer_response *response)
{
    struct slice location;

    exchange->next = NEXT_REFUSAL;
    if (exchange->redirects >= REDIRECTS_MAX) {
        error_set(&exchange->end.err, ERR_UPSTREAM, "over %d redirects", REDIRECTS_MAX);
        return;
    }
    if (!transfer_header(response->headers, "Location", &location)) {
        error_set(&exchange->end.err, ERR_UPSTREAM, "a redirect to nowhere");
        return;
    }
    if (!resolve_location(exchange, location)) {
        if (exchange->end.err.kind == ERR_NONE)
            error_set(&exchange->end.err, ERR_UPSTREAM, "a redirect to what is no address");
        /* Ours is the refusal; to the client the upstream is at fault. */
        exchange->end.err.kind = ERR_UPSTREAM;
        return;
    }
    exchange->redirects++;
    exchange->next = NEXT_REDIRECT;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* A portal's page, or bytes in a coding nobody asked for: not what was asked. */
static bool is_foreign(const struct transfer_response *response, struct error *err)
{
    struct slice value;

    if (transfer_header(response->headers, "Content-Encoding", &value) && value.length > 0 &&
        !slice_is_nocase(value, "identity")) {
        error_set(err, ERR_UPSTREAM, "the answer has a content coding nobody asked for");
        return true;
    }
    if (transfer_header(response->headers, "Content-Type", &value) &&
        slice_is_nocase(media_type_bare(value), "text/html")) {
        error_set(err, ERR_UPSTREAM, "the answer is a web page");
        return true;
    }
    return false;
}

static bool judge_answer(struct exchange *exchange, const struct transfer_response *response)
{
    if (is_foreign(response, &exchange->end.err)) {
        exchange->next = NEXT_REFUSAL;
        return false;
    }
    struct exchange_answer answer = {
        .status = response->status,
        .content_length = response->content_length,
        .headers = response->headers,
        .with_credentials = exchange->with_credentials,
    };
    exchange->next = NEXT_ANSWER;
    return exchange->handler->on_head(&answer, exchange->arg);
}

static bool on_head(struct transfer *transfer, const struct transfer_response *response, void *arg)
{
    struct exchange *exchange = arg;

    exchange->refused_bytes = 0;
    if (is_at_home(exchange)) {
        read_pulls_left(exchange->upstream, response->headers);
        if (response->status < 500 || response->status == 501)
            breaker_worked(breaker_of(exchange));
    }
    if (response->status == 200 || (response->status == 206 && exchange->range_start > 0))
        return judge_answer(exchange, response);
    transfer_limit(transfer, REFUSED_BODY_MS);
    if (is_redirect(response->status)) {
        judge_redirect(exchange, response);
    } else if (judge_challenge(exchange, response)) {
        exchange->next = NEXT_CHALLENGE;
    } else {
        exchange->next = NEXT_REFUSAL;
        judge_refusal(exchange, response);
    }
    return true;
}

static enum transfer_want on_data(struct transfer *transfer, struct slice bytes, void *arg)
{
    struct exchange *exchange = arg;

    (void)transfer;
    if (exchange->next != NEXT_ANSWER) {
        exchange->refused_bytes += bytes.length;
        return exchange->refused_bytes > REFUSED_BODY_MAX ? TRANSFER_ABORT : TRANSFER_CONTINUE;
    }
    enum transfer_want want = exchange->handler->on_data(bytes, exchange->arg);
    if (want == TRANSFER_CONTINUE)
        metrics_add(METRIC_upstream_bytes, bytes.length);
    return want;
}

/* ---- what follows from it ---- */

/* This address said no, or that it is busy: another may know better. */
static bool ask_another(struct exchange *exchange)
{
    struct exchange_end *end = &exchange->end;
    struct exchange_end said = *end;

    if (!said.is_final && said.err.kind != ERR_BUSY)
        return false;
    if (said.err.kind == ERR_BUSY)
        exchange->doubt = said;
    if (exchange->asked < exchange->upstream->url_count) {
        exchange->url_index = (exchange->url_index + 1) % exchange->upstream->url_count;
        exchange->redirects = 0;
        exchange->tokens = 0;
        exchange->sends_basic = false;
        *end = (struct exchange_end){0};
        if (begin(exchange)) {
            send_request(exchange);
            return true;
        }
        if (exchange->doubt.err.kind == ERR_NONE)
            exchange->doubt = *end;
        *end = said;
    }
    if (exchange->doubt.err.kind != ERR_NONE)
        *end = exchange->doubt;
    return false;
}

/* The upstream, or its token server, does not let us. */
static void refused(struct exchange *exchange)
{
    if (!ask_another(exchange))
        finish(exchange);
}

static void on_token(const struct token *token, const struct error *err, uint64_t retry_after,
                     void *arg)
{
    struct exchange *exchange = arg;

    exchange->wait = NULL;
    if (token) {
        send_request(exchange);
        return;
    }
    exchange->end.err = *err;
    exchange->end.retry_after = retry_after;
    exchange->end.is_final = err->kind == ERR_UNAUTHORIZED || err->kind == ERR_DENIED;
    refused(exchange);
}

static void answer_challenge(struct exchange *exchange)
{
    if (exchange->challenge->scheme == CHALLENGE_BASIC) {
        exchange->sends_basic = true;
        send_request(exchange);
        return;
    }
    struct slice repository = slice_of(exchange->repository);
    bearer_drop(exchange->upstream, repository);
    exchange->tokens++;
    exchange->wait =
        bearer_get(exchange->upstream, repository, exchange->challenge, on_token, exchange);
}

static void on_done(struct transfer *transfer, const struct error *err, void *arg)
{
    struct exchange *exchange = arg;

    (void)transfer;
    exchange->transfer = NULL;
    switch (exchange->next) {
    case NEXT_REDIRECT:
        send_request(exchange);
        return;
    case NEXT_CHALLENGE:
        answer_challenge(exchange);
        return;
    case NEXT_REFUSAL:
        refused(exchange);
        return;
    case NEXT_NOTHING:
    case NEXT_ANSWER:
        break;
    }
    if (err) {
        exchange->end.err = *err;
        if (err->kind == ERR_DENIED)
            exchange->end.err.kind = ERR_UPSTREAM;
        if (err->kind != ERR_CANCELLED && exchange->next == NEXT_NOTHING && is_at_home(exchange))
            breaker_failed(breaker_of(exchange), exchange->began_at);
    }
    finish(exchange);
}

static const struct transfer_handler exchange_transfer = {
    .on_head = on_head,
    .on_data = on_data,
    .on_done = on_done,
};

/* ---- one transfer ---- */

static bool may_connect(const struct sockaddr *address, void *arg)
{
    struct exchange *exchange = arg;
    struct upstream *upstream = exchange->upstream;
    enum address_class found = address_class_of(address);

    if (upstream->config->proxy)
        return true;
    if (is_at_home(exchange)) {
        upstream->own_classes |= (unsigned)found;
        return true;
    }
    if (upstream_trusts(upstream, &exchange->parts) == HOST_LISTED)
        return true;
    return address_is_allowed(found, upstream->own_classes);
}

/* Adds the Authorization that belongs here; never behind a redirect to another origin. */
static void print_authorization(struct exchange *exchange, struct buf *out)
{
    struct upstream *upstream = exchange->upstream;
    const struct config_upstream *config = upstream->config;

    exchange->with_credentials = exchange->with_credentials && exchange->redirects > 0;
    if (!is_at_home(exchange))
        return;
    const struct token *token = bearer_find(upstream, slice_of(exchange->repository));
    if (exchange->sends_basic) {
        AUTO_BUF struct buf pair;
        buf_init(&pair, 8192);
        buf_printf(&pair, "%s:%s", config->username, config->password);
        buf_append_text(out, "Authorization: Basic ");
        base64_print(out, buf_bytes(&pair));
        exchange->with_credentials = true;
    } else if (token) {
        buf_printf(out, "Authorization: Bearer %s", token->value);
        exchange->with_credentials = token->with_credentials;
    }
}

/* A client waits fetch.deadline: what stalls must leave time for another try. A slow head is waited
 * for as long as ever, unless another address may be faster. */
static void hurry(const struct exchange *exchange, struct transfer_request *request)
{
    uint64_t share = exchange->upstream->fetcher->config->fetch.deadline / 3;
    if (request->stall_timeout_ms > share)
        request->stall_timeout_ms = share;
    if (exchange->upstream->url_count > 1 && request->head_timeout_ms > share)
        request->head_timeout_ms = share;
}

static int start_transfer(struct exchange *exchange, struct error *err)
{
    const struct config *config = exchange->upstream->fetcher->config;
    const struct config_upstream *own = exchange->upstream->config;
    AUTO_BUF struct buf authorization;
    AUTO_BUF struct buf accept;
    AUTO_BUF struct buf range;
    const char *headers[4] = {NULL};
    unsigned count = 0;

    buf_init(&authorization, 80ul * 1024);
    buf_init(&accept, 1024);
    buf_init(&range, 64);
    print_authorization(exchange, &authorization);
    if (authorization.length > 0)
        headers[count++] = buf_text(&authorization);
    if (exchange->accept) {
        buf_printf(&accept, "Accept: %s", exchange->accept);
        headers[count++] = buf_text(&accept);
    }
    if (exchange->range_start > 0) {
        buf_printf(&range, "Range: bytes=%llu-", (unsigned long long)exchange->range_start);
        headers[count++] = buf_text(&range);
    }
    struct transfer_request request = {
        .method = exchange->method,
        .url = exchange->url,
        .headers = headers,
        .ca_file = own->ca_file,
        .proxy = own->proxy,
        .connect_timeout_ms = config->fetch.connect_timeout,
        .head_timeout_ms = config->fetch.head_timeout,
        .stall_timeout_ms = config->fetch.stall_timeout,
        .may_connect = may_connect,
    };
    if (exchange->kind == EXCHANGE_TRY)
        hurry(exchange, &request);
    if (exchange->kind != EXCHANGE_DOWNLOAD) {
        request.total_timeout_ms = monotime_since(exchange->ends_at, clock_mono());
        if (request.total_timeout_ms == 0)
            return error_set(err, ERR_TIMEOUT, "the answer took too long");
    }
    if (breaker_of(exchange)->is_open && is_at_home(exchange))
        request.head_timeout_ms = config->fetch.known_down_deadline;
    metrics_add(METRIC_upstream_requests, 1);
    return transfer_start(exchange->upstream->transfers, &request, &exchange_transfer, exchange,
                          &exchange->transfer, err);
}

static void send_request(struct exchange *exchange)
{
    exchange->next = NEXT_NOTHING;
    exchange->began_at = clock_mono();
    if (start_transfer(exchange, &exchange->end.err) == 0)
        return;
    if (exchange->end.err.kind == ERR_INVALID)
        exchange->end.err.kind = ERR_UPSTREAM;
    finish_later(exchange);
}

/* Why no address is left to ask. */
static void judge_silence(struct exchange *exchange)
{
    struct upstream *upstream = exchange->upstream;
    struct exchange_end *end = &exchange->end;
    uint64_t wait_ms = exchange->is_blob ? 0 : upstream_busy_ms(upstream);

    if (wait_ms > 0) {
        end->retry_after = wait_ms / 1000 + 1;
        error_set(&end->err, ERR_BUSY, "%s asked to wait (429)", upstream->config->name);
    } else {
        error_set(&end->err, ERR_UPSTREAM, "%s is known to be down", upstream->config->name);
    }
}

/* The next address that was not asked yet; false, and exchange->end: there is none. */
static bool begin(struct exchange *exchange)
{
    struct upstream *upstream = exchange->upstream;
    struct exchange_end *end = &exchange->end;
    size_t first = exchange->url_index;
    AUTO_BUF struct buf url;

    buf_init(&url, 8192);
    if (!upstream_pick(upstream, first, upstream->url_count - exchange->asked, !exchange->is_blob,
                       &exchange->url_index)) {
        judge_silence(exchange);
        return false;
    }
    size_t passed = (exchange->url_index + upstream->url_count - first) % upstream->url_count;
    if (passed > 0 && exchange->doubt.err.kind == ERR_NONE) {
        judge_silence(exchange);
        exchange->doubt = *end;
        *end = (struct exchange_end){0};
    }
    exchange->asked += passed + 1;
    buf_printf(&url, "%s%s", upstream->urls[exchange->url_index].text, exchange->path);
    mem_free(exchange->url);
    exchange->url = slice_dup(buf_bytes(&url));
    if (!url.is_over && url_split(slice_of(exchange->url), &exchange->parts))
        return true;
    error_set(&end->err, ERR_INVALID, "what was asked makes no address");
    end->is_final = true;
    return false;
}

/* A download that has bytes already waits for its upstream as long as for a byte: our own "known to
 * be down" is no failed try, and somebody follows it. */
static bool waits_for_breaker(struct exchange *exchange)
{
    const struct fetcher *fetcher = exchange->upstream->fetcher;

    if (exchange->range_start == 0 || exchange->end.err.kind != ERR_UPSTREAM)
        return false;
    if (!exchange->patience) {
        exchange->patience = timer_new(fetcher->options.loop, run, exchange);
        exchange->patient_until = monotime_add(clock_mono(), fetcher->config->fetch.stall_timeout);
    }
    if (clock_mono().ms >= exchange->patient_until.ms)
        return false;
    exchange->end.err.kind = ERR_NONE;
    timer_start(exchange->patience, PATIENCE_STEP_MS);
    return true;
}

static void run(void *arg)
{
    struct exchange *exchange = arg;
    const struct config *config = exchange->upstream->fetcher->config;

    /* Bodies here are small: as long again as the head may take, tokens and redirects included. A
     * byte now and then, which is no stall, may not hold a connection for ever. */
    exchange->ends_at = monotime_add(clock_mono(), 2 * config->fetch.head_timeout);
    if (begin(exchange)) {
        send_request(exchange);
    } else if (!waits_for_breaker(exchange)) {
        finish_later(exchange);
    }
}

struct exchange *exchange_start(const struct exchange_request *request,
                                const struct exchange_handler *handler, void *arg)
{
    struct exchange *exchange = NEW(struct exchange);
    struct upstream *upstream = request->upstream;

    exchange->upstream = upstream_ref(upstream);
    exchange->handler = handler;
    exchange->arg = arg;
    exchange->method = request->method;
    exchange->repository = slice_dup(request->repository);
    exchange->path = mem_strdup(request->path);
    exchange->accept = request->accept ? mem_strdup(request->accept) : NULL;
    exchange->range_start = request->range_start;
    exchange->kind = request->kind;
    exchange->is_blob = request->is_blob;
    exchange->url_index = request->first_url;
    list_init(&exchange->link);
    if (may_run(exchange)) {
        occupy(exchange);
        run(exchange);
    } else {
        list_append(&upstream->queue, &exchange->link);
    }
    return exchange;
}

void exchange_resume(struct exchange *exchange)
{
    if (exchange->transfer)
        transfer_resume(exchange->transfer);
}

void exchange_cancel(struct exchange **exchange)
{
    struct exchange *gone = TAKE(*exchange);
    if (gone)
        exchange_free(gone);
}
