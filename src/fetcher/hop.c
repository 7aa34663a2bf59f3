/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See hop.h. From its start to its end:
 *
 *   send_request ──> on_transfer_head decides ──> on_transfer_done acts
 *        ^              HOP_ANSWER          the caller has had head and bytes: the end
 *        ├───────────── HOP_REDIRECT        the same request where Location says
 *        ├── on_token ─ HOP_CHALLENGE       the same request with a token, or with the password
 *        │              HOP_REFUSAL         the end
 *        │              HOP_NOTHING         no head came: the end
 *
 * What the head decided is done in on_transfer_done, when libcurl has finished and the connection
 * is free again. The body of anything but an answer is read only so that the connection can be used
 * again, and for one second at most.
 */
#include "hop.h"

#include <string.h>

#include "address.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "bearer.h"
#include "config/config.h"
#include "hop_text.h"
#include "ipc/metrics.h"
#include "location.h"
#include "login.h"
#include "net/loop.h"
#include "oci/challenge.h"
#include "oci/media_type.h"
#include "role.h"
#include "route.h"
#include "upstream.h"

#define TOKENS_MAX 1 /* for one hop: a fresh token that is refused will be refused again */

enum hop_verdict { /* what the head means */
    HOP_NOTHING,   /* no head yet, or the transfer failed */
    HOP_ANSWER,
    HOP_REDIRECT,
    HOP_CHALLENGE,
    HOP_REFUSAL,
};

struct hop {
    const struct exchange_request *request;
    size_t address; /* index into upstream->urls */
    struct monotime ends_at;
    const struct exchange_handler *handler;
    void *arg;
    char *url; /* of this transfer: the address, or a redirect's target */
    struct url_parts parts;
    struct hop_place place;
    struct transfer *transfer;
    struct monotime began_at; /* of this transfer */
    struct token_wait *wait;
    enum hop_verdict verdict;
    struct challenge *challenge;
    unsigned redirects;
    unsigned tokens;         /* asked for */
    unsigned foreign_tokens; /* asked for, of redirects' hosts */
    bool sends_basic_unasked;
    bool sends_basic;      /* the upstream wants a password with every request */
    bool with_credentials; /* of this transfer */
    bool has_asked;        /* for a newer login */
    bool is_doubtful;      /* the answer refuses our login */
    bool warns;            /* of that */
    struct login_wait *login;
    bool shows_certificate; /* of ours, in this transfer or one that led here */
    bool is_fallback;       /* without our login, which was refused */
    size_t refused_bytes;
    struct exchange_end end;
};

static void send_request(struct hop *hop);

static struct upstream *upstream_of(const struct hop *hop)
{
    return hop->request->upstream;
}

static struct breaker *breaker_of(const struct hop *hop)
{
    return &upstream_of(hop)->urls[hop->address].breaker;
}

/* Is this transfer to the upstream itself? Only then is a failure counted by the breaker, and are
 * token and password of the upstream sent. */
static bool is_at_home(const struct hop *hop)
{
    return upstream_trusts(upstream_of(hop), &hop->parts) == HOST_OWN;
}

static void hop_free(struct hop *hop)
{
    loop_cancel_deferred(upstream_of(hop)->fetcher->options.loop, hop);
    transfer_cancel(&hop->transfer);
    bearer_cancel(&hop->wait);
    login_cancel(&hop->login);
    mem_free(hop->challenge);
    mem_free(hop->url);
    mem_free(hop);
}

static enum metric_outcome outcome_of(const struct error *err)
{
    switch ((unsigned)err->kind) {
    case ERR_NONE:
        return METRIC_OUTCOME_ok;
    case ERR_NOT_FOUND:
        return METRIC_OUTCOME_not_found;
    case ERR_UNAUTHORIZED:
    case ERR_DENIED:
        return METRIC_OUTCOME_denied;
    case ERR_BUSY:
        return METRIC_OUTCOME_limited;
    case ERR_CANCELLED:
        return METRIC_OUTCOME_cancelled;
    default:
        return METRIC_OUTCOME_failed;
    }
}

static void count_outcome(const struct hop *hop, enum metric_outcome outcome)
{
    metrics_add_at(METRIC_upstream_answers, upstream_of(hop)->metric, outcome, 1);
}

static void hop_finish(void *arg)
{
    struct hop *hop = arg;
    const struct exchange_handler *handler = hop->handler;
    struct exchange_end end = hop->end;

    count_outcome(hop, outcome_of(&hop->end.err));
    arg = hop->arg;
    hop_free(hop); /* the callback may free the request */
    handler->on_done(&end, arg);
}

static void finish_later(struct hop *hop)
{
    loop_defer(upstream_of(hop)->fetcher->options.loop, hop_finish, hop);
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
        log_text(&line, "origin", upstream->name);
        log_u64(&line, "pulls_left", left);
        log_end(&line, "few pulls are left at the upstream");
    }
    upstream->pulls_left = left;
}

static void judge_busy(struct hop *hop, const struct transfer_response *response)
{
    struct upstream *upstream = upstream_of(hop);
    uint64_t seconds = upstream_read_busy(response->headers);

    hop->end.retry_after = seconds;
    error_set(&hop->end.err, ERR_BUSY, "%s answered 429 (too many requests)", upstream->name);
    if (is_at_home(hop) && !hop->request->is_blob)
        upstream->urls[hop->address].busy_until = monotime_add(clock_mono(), seconds * 1000);
}

/* 500 may be about one repository, and 501 about one method; these are about the whole address. */
static bool is_down(int status)
{
    return status >= 502 && status <= 504;
}

/* The address itself has failed; end.err says how. */
static void note_failure(struct hop *hop)
{
    struct upstream_url *url = &upstream_of(hop)->urls[hop->address];

    memcpy(url->down_why, hop->place.why, sizeof(url->down_why));
    if (breaker_failed(breaker_of(hop), hop->began_at))
        hop_text_state(&hop->place, &hop->end.err);
}

static void judge_refusal(struct hop *hop, const struct transfer_response *response)
{
    struct exchange_end *end = &hop->end;
    enum error_kind kind = ERR_UPSTREAM;
    bool is_home = is_at_home(hop);

    end->status = response->status;
    if (response->status == 407 && hop->place.is_proxy) {
        error_set(&end->err, ERR_UPSTREAM, "the proxy answered 407 (its user and password)");
        hop_text_failure(&hop->place, &end->err);
        note_failure(hop);
        return;
    }
    if (response->status == 429) {
        judge_busy(hop, response);
        return;
    }
    if (response->status == 416)
        kind = ERR_CONFLICT;
    else if (response->status == 404 || response->status == 410)
        kind = ERR_NOT_FOUND;
    else if (response->status == 401)
        kind = ERR_UNAUTHORIZED;
    else if (response->status == 403 || response->status == 451)
        kind = ERR_DENIED;
    /* Somebody without a login may not be shown what is there. */
    if (hop->is_fallback && (kind == ERR_NOT_FOUND || kind == ERR_DENIED))
        kind = ERR_UNAUTHORIZED;
    /* 501 is about the method, as 405 is: asking again does not help. */
    bool is_no = (response->status >= 400 && response->status < 500 && response->status != 408 &&
                  response->status != 416) ||
                 response->status == 501;
    /* What a redirect's host does not like about a download may be the link, which expires. */
    end->is_final =
        is_no && (is_home || kind != ERR_UPSTREAM || hop->request->kind != EXCHANGE_DOWNLOAD);
    if (response->status >= 500)
        end->retry_after = upstream_read_retry_after(response->headers);
    end->err.kind = kind;
    hop_text_status(&hop->place, response->status, &end->err);
    if (is_home && is_down(response->status))
        note_failure(hop);
}

/* Challenges may be in several fields (RFC 9110 11.6.1); those that we cannot use are skipped. */
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

/* The password is refused. If it was sent unasked, the request was not made without it yet. */
static bool may_try_bare(struct hop *hop)
{
    hop->warns = true;
    upstream_of(hop)->urls[hop->address].wants_basic = false;
    hop->is_fallback = hop->sends_basic_unasked;
    return hop->is_fallback;
}

/* True when there is a challenge to answer; `challenge` is set. */
static bool judge_challenge(struct hop *hop, const struct transfer_response *response)
{
    if (response->status != 401)
        return false;
    if (!hop->challenge)
        hop->challenge = NEW(struct challenge);
    if (!read_challenge(response->headers, hop->challenge))
        return false;
    if (!is_at_home(hop))
        return hop->challenge->scheme == CHALLENGE_BEARER && hop->foreign_tokens < TOKENS_MAX;
    switch (hop->challenge->scheme) {
    case CHALLENGE_BASIC:
        return upstream_has_credentials(upstream_of(hop)) && !hop->is_fallback &&
               (!hop->sends_basic || may_try_bare(hop));
    case CHALLENGE_BEARER:
        if (hop->tokens < TOKENS_MAX)
            return true;
        /* A fresh token of our login is refused: an anonymous one may do. */
        if (!hop->with_credentials || hop->is_fallback)
            return false;
        hop->warns = true;
        hop->is_fallback = true;
        return true;
    }
    return false;
}

/* Resolve a Location against the current URL, which it replaces; false when it is not a URL. */
static bool resolve_location(struct hop *hop, struct slice location)
{
    AUTO_BUF struct buf written;
    AUTO_BUF struct buf url;
    struct url_parts parts;

    buf_init(&written, 8192);
    buf_init(&url, 8192);
    location_resolve(&hop->parts, location, &written);
    upstream_print_upgraded(upstream_of(hop), buf_bytes(&written), &url);
    if (written.is_over || url.is_over || !url_split(buf_bytes(&url), &parts))
        return false;
    struct error *err = &hop->end.err;
    if (upstream_check_url(upstream_of(hop), &parts, err) != 0) {
        error_wrap(err, "redirect");
        return false;
    }
    mem_free(hop->url);
    hop->url = slice_dup(buf_bytes(&url));
    return url_split(slice_of(hop->url), &hop->parts);
}

/* False: *err says why it is not followed. */
static bool follow_redirect(struct hop *hop, const struct transfer_response *response,
                            struct error *err)
{
    struct slice location;

    if (hop->redirects >= REDIRECTS_MAX)
        return error_set(err, ERR_UPSTREAM, "over %d redirects", REDIRECTS_MAX) == 0;
    if (!transfer_header(response->headers, "Location", &location))
        return error_set(err, ERR_UPSTREAM, "a redirect without a Location") == 0;
    if (resolve_location(hop, location))
        return true;
    if (err->kind == ERR_NONE)
        error_set(err, ERR_UPSTREAM, "a redirect to something that is not a URL");
    /* The refusal is ours, but to the client the upstream has failed. */
    err->kind = ERR_UPSTREAM;
    return false;
}

static void judge_redirect(struct hop *hop, const struct transfer_response *response)
{
    if (follow_redirect(hop, response, &hop->end.err)) {
        hop->redirects++;
        hop->verdict = HOP_REDIRECT;
        return;
    }
    hop->verdict = HOP_REFUSAL;
    hop_text_failure(&hop->place, &hop->end.err);
}

/* Codings that change the bytes. Servers write other words there too (aws-chunked, utf-8), which
 * say nothing about what we receive. */
static bool is_coded(struct slice codings)
{
    static const char *const real[] = {"gzip", "x-gzip",     "deflate", "br",
                                       "zstd", "x-compress", "compress"};
    struct slice coding;

    while (slice_split(&codings, ',', &coding)) {
        for (size_t i = 0; i < sizeof(real) / sizeof(real[0]); i++) {
            if (slice_is_nocase(slice_trim(coding), real[i]))
                return true;
        }
    }
    return false;
}

/* A captive portal's page, or bytes in a content coding that was not asked for. */
static bool is_foreign(const struct transfer_response *response, struct error *err)
{
    struct slice value;

    if (transfer_header(response->headers, "Content-Encoding", &value) && is_coded(value)) {
        error_set(err, ERR_UPSTREAM, "the answer has a content coding that was not asked for");
        return true;
    }
    if (transfer_header(response->headers, "Content-Type", &value) &&
        slice_is_nocase(media_type_bare(value), "text/html")) {
        error_set(err, ERR_UPSTREAM, "the answer is a web page");
        return true;
    }
    return false;
}

static bool judge_answer(struct hop *hop, const struct transfer_response *response)
{
    if (is_foreign(response, &hop->end.err)) {
        hop->end.status = response->status;
        hop_text_failure(&hop->place, &hop->end.err);
        hop->verdict = HOP_REFUSAL;
        return false;
    }
    struct exchange_answer answer = {
        .status = response->status,
        .content_length = response->content_length,
        .headers = response->headers,
        .with_credentials = hop->with_credentials || hop->shows_certificate,
    };
    hop->verdict = HOP_ANSWER;
    return hop->handler->on_head(&answer, hop->arg);
}

static void note_success(struct hop *hop)
{
    if (breaker_worked(breaker_of(hop)))
        hop_text_state(&hop->place, NULL);
}

/* A token of before that is refused is only too old, and 403 may be about our password: some
 * registries know no 401 for one that has expired. */
static bool is_login_refused(const struct hop *hop, int status)
{
    bool is_fresh = hop->sends_basic || hop->tokens >= TOKENS_MAX;

    return is_at_home(hop) && hop->with_credentials && !hop->is_fallback && !hop->has_asked &&
           (status == 403 || (status == 401 && is_fresh));
}

static bool on_transfer_head(struct transfer *transfer, const struct transfer_response *response,
                             void *arg)
{
    struct hop *hop = arg;

    hop->refused_bytes = 0;
    hop->is_doubtful = is_login_refused(hop, response->status);
    metrics_observe(METRIC_upstream_first_byte_seconds, upstream_of(hop)->metric,
                    monotime_since(clock_mono(), hop->began_at) * 1000);
    if (is_at_home(hop)) {
        read_pulls_left(upstream_of(hop), response->headers);
        if (response->status < 500 || response->status == 501)
            note_success(hop);
    }
    if (response->status == 200 || (response->status == 206 && hop->request->range_start > 0))
        return judge_answer(hop, response);
    transfer_limit(transfer, REFUSED_BODY_MS);
    if (location_is_redirect(response->status)) {
        judge_redirect(hop, response);
    } else if (judge_challenge(hop, response)) {
        hop->verdict = HOP_CHALLENGE;
    } else {
        hop->verdict = HOP_REFUSAL;
        judge_refusal(hop, response);
    }
    return true;
}

static enum transfer_want on_transfer_data(struct transfer *transfer, struct slice bytes, void *arg)
{
    struct hop *hop = arg;

    (void)transfer;
    if (hop->verdict != HOP_ANSWER) {
        hop->refused_bytes += bytes.length;
        return hop->refused_bytes > REFUSED_BODY_MAX ? TRANSFER_ABORT : TRANSFER_CONTINUE;
    }
    return hop->handler->on_data(bytes, hop->arg);
}

/* ---- what follows from it ---- */

static void on_token(const struct token *token, const struct error *err, uint64_t retry_after,
                     void *arg)
{
    struct hop *hop = arg;

    hop->wait = NULL;
    if (token) {
        send_request(hop);
        return;
    }
    hop->end.err = *err;
    hop->end.has_heir = err->kind == ERR_UNAUTHORIZED && upstream_heir(upstream_of(hop));
    error_wrap(&hop->end.err, "%s", upstream_of(hop)->name);
    hop->end.retry_after = retry_after;
    hop->end.is_final = err->kind == ERR_UNAUTHORIZED;
    hop_finish(hop);
}

/* What the token for this transfer is kept under: the repository's name at this address. A
 * redirect's host has tokens of its own; no repository has such a name. */
static void print_token_key(const struct hop *hop, struct buf *out)
{
    struct slice repository = hop->request->repository;

    if (is_at_home(hop)) {
        buf_printf(out, "%.*s%.*s", SLICE_PRINT(upstream_of(hop)->urls[hop->address].prefix),
                   SLICE_PRINT(repository));
    } else {
        buf_printf(out, "%.*s %.*s", SLICE_PRINT(hop->parts.authority), SLICE_PRINT(repository));
    }
}

/* The registry behind a redirect wants a token of its own: an anonymous one, for what it names. */
static void get_token(struct hop *hop)
{
    bool is_home = is_at_home(hop);
    AUTO_BUF struct buf key;

    buf_init(&key, 1024);
    print_token_key(hop, &key);
    bearer_drop(upstream_of(hop), buf_bytes(&key));
    if (is_home)
        hop->tokens++;
    else
        hop->foreign_tokens++;
    struct bearer_request request = {
        .upstream = upstream_of(hop),
        .repository = buf_bytes(&key),
        .challenge = hop->challenge,
        .is_fallback = is_home && hop->is_fallback,
        .is_foreign = !is_home,
    };
    hop->wait = bearer_get(&request, on_token, hop);
}

static void answer_challenge(struct hop *hop)
{
    if (!is_at_home(hop) || hop->challenge->scheme == CHALLENGE_BEARER) {
        get_token(hop);
        return;
    }
    hop->sends_basic = !hop->is_fallback;
    upstream_of(hop)->urls[hop->address].wants_basic = hop->sends_basic;
    send_request(hop);
}

/* Not the caller's own refusal, nor an option that libcurl refuses here. */
static bool is_of_upstream(const struct error *err)
{
    return err->kind != ERR_CANCELLED && err->kind != ERR_INTERNAL;
}

static void act(struct hop *hop, const struct error *err)
{
    if (hop->warns)
        upstream_warn_login(upstream_of(hop), "the registry", 401);
    hop->warns = false;
    switch (hop->verdict) {
    case HOP_REDIRECT:
        send_request(hop);
        return;
    case HOP_CHALLENGE:
        answer_challenge(hop);
        return;
    case HOP_REFUSAL:
        hop_finish(hop);
        return;
    case HOP_NOTHING:
    case HOP_ANSWER:
        break;
    }
    if (err) {
        hop->end.err = *err;
        if (err->kind == ERR_DENIED)
            hop->end.err.kind = ERR_UPSTREAM;
        if (is_of_upstream(err))
            hop_text_failure(&hop->place, &hop->end.err);
        if (is_of_upstream(err) && hop->verdict == HOP_NOTHING && is_at_home(hop))
            note_failure(hop);
    }
    hop_finish(hop);
}

static void on_login(void *arg)
{
    struct hop *hop = arg;

    hop->login = NULL;
    if (!upstream_heir(upstream_of(hop))) {
        act(hop, NULL);
        return;
    }
    error_set(&hop->end.err, ERR_UNAUTHORIZED, "%s refuses the login of before",
              upstream_of(hop)->name);
    hop->end.has_heir = true;
    hop_finish(hop);
}

static void on_transfer_done(struct transfer *transfer, const struct error *err, void *arg)
{
    struct hop *hop = arg;

    (void)transfer;
    hop->transfer = NULL;
    if (!hop->is_doubtful) {
        act(hop, err);
        return;
    }
    hop->is_doubtful = false;
    hop->has_asked = true;
    hop->login = login_ask(upstream_of(hop)->fetcher->logins, on_login, hop);
}

static const struct transfer_handler hop_transfer = {
    .on_head = on_transfer_head,
    .on_data = on_transfer_data,
    .on_done = on_transfer_done,
};

/* ---- one transfer ---- */

static bool may_connect(const struct sockaddr *address, bool is_proxy, void *arg)
{
    struct hop *hop = arg;
    struct upstream *upstream = upstream_of(hop);
    enum address_class found = address_class_of(address);

    hop_place_note(&hop->place, address);
    hop->place.is_proxy = is_proxy;
    if (is_proxy)
        return true;
    if (is_at_home(hop)) {
        upstream->own_classes |= (unsigned)found;
        return true;
    }
    if (upstream_trusts(upstream, &hop->parts) == HOST_LISTED)
        return true;
    return address_is_allowed(found, upstream->own_classes);
}

/* Append the Authorization header. The host of a redirect gets an anonymous token of its own at
 * most. */
static void print_authorization(struct hop *hop, struct buf *out)
{
    const struct upstream *upstream = upstream_of(hop);
    bool is_home = is_at_home(hop);
    AUTO_BUF struct buf key;

    buf_init(&key, 1024);
    hop->with_credentials = hop->with_credentials && hop->redirects > 0;
    if (is_home && hop->sends_basic) {
        upstream_print_basic(upstream, out);
        hop->with_credentials = true;
        return;
    }
    print_token_key(hop, &key);
    const struct token *token = bearer_find(upstream_of(hop), buf_bytes(&key));
    if (token)
        buf_printf(out, "Authorization: Bearer %s", token->value);
    if (token && is_home) {
        hop->with_credentials = token->with_credentials;
        hop->is_fallback = hop->is_fallback || token->is_fallback;
    }
}

/* A client waits for fetch.deadline, so a transfer that stalls must leave time for another try. The
 * time for the head is shortened only when another address may be faster. */
static void set_times(const struct hop *hop, struct transfer_request *transfer)
{
    const struct upstream *upstream = upstream_of(hop);
    const struct config *config = upstream->fetcher->config;
    uint64_t share = config->fetch.deadline / 3;

    transfer->connect_timeout_ms = config->fetch.connect_timeout;
    transfer->head_timeout_ms = config->fetch.head_timeout;
    transfer->stall_timeout_ms = config->fetch.stall_timeout;
    if (hop->request->kind == EXCHANGE_TRY) {
        if (transfer->stall_timeout_ms > share)
            transfer->stall_timeout_ms = share;
        if (upstream->url_count > 1 && transfer->head_timeout_ms > share)
            transfer->head_timeout_ms = share;
    }
    if (hop->request->kind != EXCHANGE_DOWNLOAD)
        transfer->total_timeout_ms = monotime_since(hop->ends_at, clock_mono());
    if (breaker_of(hop)->is_open && is_at_home(hop))
        transfer->head_timeout_ms = config->fetch.known_down_deadline;
}

static int start_transfer(struct hop *hop, struct error *err)
{
    const struct exchange_request *request = hop->request;
    AUTO_BUF struct buf authorization;
    AUTO_BUF struct buf accept;
    AUTO_BUF struct buf range;
    const char *headers[4] = {NULL};
    unsigned count = 0;

    buf_init(&authorization, 80ul * 1024);
    buf_init(&accept, 1024);
    buf_init(&range, 64);
    print_authorization(hop, &authorization);
    if (authorization.length > 0)
        headers[count++] = buf_text(&authorization);
    if (request->accept) {
        buf_printf(&accept, "Accept: %s", request->accept);
        headers[count++] = buf_text(&accept);
    }
    if (request->range_start > 0) {
        buf_printf(&range, "Range: bytes=%llu-", (unsigned long long)request->range_start);
        headers[count++] = buf_text(&range);
    }
    struct transfer_request transfer = {
        .method = request->method,
        .url = hop->url,
        .headers = headers,
        .may_connect = may_connect,
    };
    if (route_set(upstream_of(hop), &hop->parts, is_at_home(hop), &transfer))
        hop->shows_certificate = true;
    set_times(hop, &transfer);
    if (request->kind != EXCHANGE_DOWNLOAD && transfer.total_timeout_ms == 0)
        return error_set(err, ERR_TIMEOUT, "the answer took too long");
    metrics_add(METRIC_upstream_requests, 1);
    return transfer_start(upstream_of(hop)->transfers, &transfer, &hop_transfer, hop,
                          &hop->transfer, err);
}

static void send_request(struct hop *hop)
{
    hop->verdict = HOP_NOTHING;
    hop->began_at = clock_mono();
    hop->place = (struct hop_place){.upstream = upstream_of(hop), .url = hop->url};
    if (start_transfer(hop, &hop->end.err) == 0)
        return;
    if (hop->end.err.kind == ERR_INVALID)
        hop->end.err.kind = ERR_UPSTREAM;
    finish_later(hop);
}

struct hop *hop_start(const struct hop_options *options)
{
    struct hop *hop = NEW(struct hop);
    AUTO_BUF struct buf url;

    hop->request = options->request;
    hop->address = options->url;
    hop->ends_at = options->ends_at;
    hop->handler = options->handler;
    hop->arg = options->arg;
    hop->sends_basic_unasked = upstream_of(hop)->urls[hop->address].wants_basic;
    hop->sends_basic = hop->sends_basic_unasked;
    buf_init(&url, 8192);
    buf_printf(&url, "%s%s", upstream_of(hop)->urls[hop->address].text, hop->request->path);
    hop->url = slice_dup(buf_bytes(&url));
    if (!url.is_over && url_split(slice_of(hop->url), &hop->parts)) {
        send_request(hop);
        return hop;
    }
    error_set(&hop->end.err, ERR_INVALID, "the request does not make a valid URL");
    hop->end.is_final = true;
    finish_later(hop);
    return hop;
}

void hop_resume(struct hop *hop)
{
    if (hop->transfer)
        transfer_resume(hop->transfer);
}

void hop_cancel(struct hop **hop)
{
    struct hop *gone = TAKE(*hop);

    if (!gone)
        return;
    count_outcome(gone, METRIC_OUTCOME_cancelled);
    hop_free(gone);
}
