/* SPDX-License-Identifier: Apache-2.0 */
/* See bearer.h. */
#include "bearer.h"

#include <stdint.h>

#include "address.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/jsonio.h"
#include "base/list.h"
#include "base/map.h"
#include "base/text.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "location.h"
#include "login.h"
#include "net/loop.h"
#include "net/transfer.h"
#include "oci/challenge.h"
#include "role.h"
#include "route.h"
#include "upstream.h"

#define TOKEN_JSON_MAX (1024ul * 1024)
#define TOKEN_MAX      (64ul * 1024)
#define TOKENS_MAX     10000
#define LIFE_DEFAULT_S 60
#define LIFE_MIN_S     60
#define LIFE_MAX_S     3600
#define USED_UNTIL_MS  10000 /* before its end a token is no longer used */

struct kept_token {
    struct token token;
    struct monotime good_until;
};

struct token_fetch {
    struct list link; /* of the upstream */
    struct upstream *upstream;
    char *repository;
    struct url_parts realm; /* into url */
    char *url;
    bool with_credentials;
    bool shows_certificate;
    bool has_asked; /* for a newer login */
    struct login_wait *login;
    bool is_fallback; /* anonymous because our login was refused */
    bool is_foreign;
    struct challenge challenge;
    struct transfer *transfer;
    char *next_url; /* that the answer redirects to; NULL: it does not */
    unsigned redirects;
    int status;
    struct buf body;
    struct list waits;
    struct error err;
    uint64_t retry_after; /* with ERR_BUSY */
};

struct token_wait {
    struct list link;
    bearer_fn *fn;
    void *arg;
};

/* ---- tokens kept ---- */

static void kept_free(struct kept_token *kept)
{
    if (!kept)
        return;
    mem_free(kept->token.value);
    mem_free(kept);
}

static void free_kept(struct slice key, void *value, void *arg)
{
    (void)key;
    (void)arg;
    kept_free(value);
}

void bearer_drop(struct upstream *upstream, struct slice repository)
{
    if (upstream->tokens)
        kept_free(map_remove(upstream->tokens, repository));
}

const struct token *bearer_find(struct upstream *upstream, struct slice repository)
{
    struct kept_token *kept = upstream->tokens ? map_find(upstream->tokens, repository) : NULL;

    if (!kept)
        return NULL;
    if (clock_mono().ms >= kept->good_until.ms) {
        bearer_drop(upstream, repository);
        return NULL;
    }
    return &kept->token;
}

static const struct token *keep_token(struct token_fetch *fetch, struct slice value,
                                      uint64_t life_s)
{
    struct upstream *upstream = fetch->upstream;

    if (upstream->tokens && map_count(upstream->tokens) >= TOKENS_MAX) {
        map_each(upstream->tokens, free_kept, NULL);
        map_free(&upstream->tokens);
    }
    if (!upstream->tokens)
        upstream->tokens = map_new();
    /* The login is tried again soon: it may have been mended. */
    if (life_s < LIFE_MIN_S || fetch->is_fallback)
        life_s = LIFE_MIN_S;
    if (life_s > LIFE_MAX_S)
        life_s = LIFE_MAX_S;
    struct kept_token *kept = NEW(struct kept_token);
    kept->token.value = slice_dup(value);
    kept->token.with_credentials = fetch->with_credentials || fetch->shows_certificate;
    kept->token.is_fallback = fetch->is_fallback;
    kept->good_until = monotime_add(clock_mono(), life_s * 1000 - USED_UNTIL_MS);
    kept_free(map_set(upstream->tokens, slice_of(fetch->repository), kept));
    return &kept->token;
}

/* ---- the token server's answer ---- */

static bool is_token(struct slice value)
{
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] <= ' ' || value.data[i] > '~')
            return false;
    }
    return value.length > 0 && value.length <= TOKEN_MAX;
}

static const struct token *read_token(struct token_fetch *fetch)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error *err = &fetch->err;

    if (jsonio_parse(buf_bytes(&fetch->body), &document, err) != 0) {
        error_wrap(err, "token server");
        err->kind = ERR_UPSTREAM;
        return NULL;
    }
    struct jsonio_value root = jsonio_root(document);
    struct slice value = jsonio_string(jsonio_member(root, "token"));
    if (value.length == 0)
        value = jsonio_string(jsonio_member(root, "access_token"));
    if (!is_token(value)) {
        error_set(err, ERR_UPSTREAM, "the token server gave no token");
        return NULL;
    }
    uint64_t life_s = LIFE_DEFAULT_S;
    if (!jsonio_u64(jsonio_member(root, "expires_in"), &life_s))
        life_s = LIFE_DEFAULT_S;
    return keep_token(fetch, value, life_s);
}

static bool is_login_refusal(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static const struct token *judge_token_answer(struct token_fetch *fetch)
{
    struct error *err = &fetch->err;

    if (fetch->status == 200)
        return read_token(fetch);
    struct slice host = fetch->realm.authority;
    if (fetch->status == 429) {
        error_set(err, ERR_BUSY, "the token server %.*s answered 429", SLICE_PRINT(host));
    } else {
        error_set(err, is_login_refusal(fetch->status) ? ERR_UNAUTHORIZED : ERR_UPSTREAM,
                  "the token server %.*s answered %d", SLICE_PRINT(host), fetch->status);
    }
    return NULL;
}

static void token_fetch_free(struct token_fetch *fetch)
{
    loop_cancel_deferred(fetch->upstream->fetcher->options.loop, fetch);
    list_remove(&fetch->link);
    transfer_cancel(&fetch->transfer);
    login_cancel(&fetch->login);
    buf_cleanup(&fetch->body);
    mem_free(fetch->repository);
    mem_free(fetch->url);
    mem_free(fetch->next_url);
    upstream_unref(&fetch->upstream);
    mem_free(fetch);
}

static void tell_waits(struct token_fetch *fetch, const struct token *token)
{
    /* Out of the list first: a bearer_get that comes now, for this repository, starts a new fetch.
     */
    list_remove(&fetch->link);
    while (!list_is_empty(&fetch->waits)) {
        struct token_wait *wait = LIST_ITEM(fetch->waits.next, struct token_wait, link);

        /* A callback may have dropped the token. */
        if (token)
            token = bearer_find(fetch->upstream, slice_of(fetch->repository));
        if (!token && fetch->err.kind == ERR_NONE)
            error_set(&fetch->err, ERR_UNAUTHORIZED, "the token was refused");
        list_remove(&wait->link);
        wait->fn(token, token ? NULL : &fetch->err, token ? 0 : fetch->retry_after, wait->arg);
        mem_free(wait);
    }
    token_fetch_free(fetch);
}

static void on_token_refused(void *arg)
{
    tell_waits(arg, NULL);
}

/* The host is judged when the request is sent there. */
static void read_redirect(struct token_fetch *fetch, struct slice headers)
{
    struct slice location;
    AUTO_BUF struct buf written;
    AUTO_BUF struct buf url;

    buf_init(&written, 8192);
    buf_init(&url, 8192);
    if (fetch->redirects >= REDIRECTS_MAX || !transfer_header(headers, "Location", &location))
        return;
    location_resolve(&fetch->realm, location, &written);
    upstream_print_upgraded(fetch->upstream, buf_bytes(&written), &url);
    if (!written.is_over && !url.is_over)
        fetch->next_url = slice_dup(buf_bytes(&url));
}

static bool on_token_head(struct transfer *transfer, const struct transfer_response *response,
                          void *arg)
{
    struct token_fetch *fetch = arg;

    fetch->status = response->status;
    if (response->status != 200)
        transfer_limit(transfer, REFUSED_BODY_MS);
    if (location_is_redirect(response->status))
        read_redirect(fetch, response->headers);
    if (response->status == 429) {
        fetch->retry_after = upstream_read_busy(response->headers);
        fetch->upstream->tokens_busy_until = monotime_add(clock_mono(), fetch->retry_after * 1000);
    }
    return true;
}

static enum transfer_want on_token_data(struct transfer *transfer, struct slice bytes, void *arg)
{
    struct token_fetch *fetch = arg;

    (void)transfer;
    buf_append_slice(&fetch->body, bytes);
    if (fetch->body.is_over)
        return TRANSFER_ABORT;
    if (fetch->status != 200 && buf_bytes(&fetch->body).length > REFUSED_BODY_MAX)
        return TRANSFER_ABORT;
    return TRANSFER_CONTINUE;
}

/* ERR_DENIED is our own refusal of an address here. To the client it is the upstream's failure: it
 * says nothing about who may pull. */
static void blame_upstream(struct error *err)
{
    if (err->kind == ERR_DENIED)
        err->kind = ERR_UPSTREAM;
}

static int begin_fetch(struct token_fetch *fetch);
static int go_on(struct token_fetch *fetch);

/* False: there is no redirect, or it is not followed and fetch->err says why. */
static bool follow_redirect(struct token_fetch *fetch)
{
    if (!fetch->next_url)
        return false;
    fetch->redirects++;
    fetch->status = 0;
    buf_clear(&fetch->body);
    mem_free(fetch->url);
    fetch->url = TAKE(fetch->next_url);
    return go_on(fetch) == 0;
}

/* Without a login most of what is public can still be had. False: *fetch is answered as it is. */
static bool try_anonymously(struct token_fetch *fetch)
{
    if (!fetch->with_credentials || !is_login_refusal(fetch->status))
        return false;
    upstream_warn_login(fetch->upstream, "the token server", fetch->status);
    fetch->is_fallback = true;
    fetch->status = 0;
    buf_clear(&fetch->body);
    mem_free(fetch->url);
    fetch->url = NULL;
    return begin_fetch(fetch) == 0;
}

static void end_fetch(struct token_fetch *fetch, const struct error *err)
{
    const struct token *token = NULL;

    if (follow_redirect(fetch) || try_anonymously(fetch))
        return;
    bool is_refusal = fetch->status != 0 && fetch->status != 200;
    if (fetch->err.kind != ERR_NONE) {
        blame_upstream(&fetch->err); /* it could not be asked anonymously */
    } else if (!is_refusal && fetch->body.is_over) {
        error_set(&fetch->err, ERR_UPSTREAM,
                  "token server %.*s: its answer has more than 1 MiB, which is not taken",
                  SLICE_PRINT(fetch->realm.authority));
    } else if (!is_refusal && err) {
        fetch->err = *err;
        error_wrap(&fetch->err, "token server %.*s", SLICE_PRINT(fetch->realm.authority));
        blame_upstream(&fetch->err);
    } else {
        token = judge_token_answer(fetch);
    }
    if (!token)
        metrics_add(METRIC_upstream_failures, 1);
    tell_waits(fetch, token);
}

/* Who waits for the token sees by upstream_heir that the upstream has another login now. */
static void on_login(void *arg)
{
    struct token_fetch *fetch = arg;

    fetch->login = NULL;
    if (!upstream_heir(fetch->upstream)) {
        end_fetch(fetch, NULL);
        return;
    }
    error_set(&fetch->err, ERR_UNAUTHORIZED, "the token server refuses the login of before");
    tell_waits(fetch, NULL);
}

static void on_token_done(struct transfer *transfer, const struct error *err, void *arg)
{
    struct token_fetch *fetch = arg;

    (void)transfer;
    fetch->transfer = NULL;
    if (fetch->with_credentials && is_login_refusal(fetch->status) && !fetch->has_asked) {
        fetch->has_asked = true;
        fetch->login = login_ask(fetch->upstream->fetcher->logins, on_login, fetch);
        return;
    }
    end_fetch(fetch, err);
}

static const struct transfer_handler token_handler = {
    .on_head = on_token_head,
    .on_data = on_token_data,
    .on_done = on_token_done,
};

/* ---- asking ---- */

static bool may_connect_realm(const struct sockaddr *address, bool is_proxy, void *arg)
{
    const struct token_fetch *fetch = arg;
    const struct upstream *upstream = fetch->upstream;

    if (is_proxy || upstream_trusts(upstream, &fetch->realm) != HOST_OTHER)
        return true;
    return address_is_allowed(address_class_of(address), upstream->own_classes);
}

static void add_parameter(struct buf *url, const char *name, struct slice value)
{
    if (value.length == 0)
        return;
    buf_append_byte(url, slice_find(buf_bytes(url), '?') < 0 ? '?' : '&');
    buf_append_text(url, name);
    buf_append_byte(url, '=');
    text_percent_encode(url, value, "/:");
}

static bool is_read(struct slice action)
{
    return action.length > 0 && !slice_is(action, "push") && !slice_is(action, "delete") &&
           !slice_is(action, "*");
}

/* Some registries name "pull,push" for every request: nothing is ever written with our tokens. */
static void print_read_scope(struct slice scope, struct buf *out)
{
    ptrdiff_t colon = slice_find_last(scope, ':');
    struct slice actions = slice_skip(scope, (size_t)(colon + 1));
    struct slice action;
    bool is_first = true;

    buf_append_slice(out, slice_from(scope.data, (size_t)(colon + 1)));
    while (slice_split(&actions, ',', &action)) {
        if (!is_read(action))
            continue;
        buf_printf(out, "%s%.*s", is_first ? "" : ",", SLICE_PRINT(action));
        is_first = false;
    }
    if (is_first)
        buf_append_text(out, "pull");
}

/* What the challenge names, because a proxy in front may know the repository by another name and
 * lists may need another right; then what we want, because challenges are wrong at times. */
static void add_scopes(const struct token_fetch *fetch, struct slice named, struct buf *url)
{
    AUTO_BUF struct buf own;
    struct slice scope;
    bool has_own = fetch->is_foreign;

    buf_init(&own, 2048);
    buf_printf(&own, "repository:%s:pull", fetch->repository);
    while (slice_split(&named, ' ', &scope)) {
        AUTO_BUF struct buf read;

        buf_init(&read, 2048);
        if (scope.length > 0)
            print_read_scope(scope, &read);
        add_parameter(url, "scope", buf_bytes(&read));
        has_own = has_own || slice_equal(buf_bytes(&read), buf_bytes(&own));
    }
    if (!has_own)
        add_parameter(url, "scope", buf_bytes(&own));
}

static void build_url(struct token_fetch *fetch, const struct challenge *challenge)
{
    const struct config_upstream *config = fetch->upstream->config;
    AUTO_BUF struct buf url;

    buf_init(&url, 8192);
    upstream_print_upgraded(fetch->upstream, slice_of(challenge->realm), &url);
    add_parameter(&url, "service", slice_of(challenge->service));
    add_scopes(fetch, slice_of(challenge->scope), &url);
    if (fetch->with_credentials)
        add_parameter(&url, "account", slice_of(config->username));
    fetch->url = url.is_over ? mem_strdup("") : slice_dup(buf_bytes(&url));
}

/* May this address be asked, and does it get the login? */
static int judge_realm(struct token_fetch *fetch, struct slice url, struct error *err)
{
    struct upstream *upstream = fetch->upstream;
    struct url_parts realm;

    if (!url_split(url, &realm))
        return error_set(err, ERR_DENIED, "the address of the token server is not a URL");
    int rc = upstream_check_url(upstream, &realm, err);
    if (rc != 0)
        return error_wrap(err, "token server");
    bool has_login =
        !fetch->is_fallback && !fetch->is_foreign && upstream_has_credentials(upstream);
    fetch->with_credentials = has_login && upstream_is_realm(upstream, &realm);
    if (has_login && !fetch->with_credentials)
        upstream_warn_realm(upstream, &realm);
    return 0;
}

static int send_token_request(struct token_fetch *fetch, struct error *err)
{
    struct upstream *upstream = fetch->upstream;
    AUTO_BUF struct buf basic;
    const char *headers[3] = {"Accept: application/json", NULL, NULL};

    buf_init(&basic, 16384);
    if (!url_split(slice_of(fetch->url), &fetch->realm))
        return error_set(err, ERR_DENIED, "the address of the token server is not a URL");
    if (fetch->with_credentials) {
        upstream_print_basic(upstream, &basic);
        headers[1] = buf_text(&basic);
    }
    const struct config *config = upstream->fetcher->config;
    struct transfer_request request = {
        .method = TRANSFER_GET,
        .url = fetch->url,
        .headers = headers,
        .connect_timeout_ms = config->fetch.connect_timeout,
        .head_timeout_ms = config->fetch.head_timeout,
        .stall_timeout_ms = config->fetch.stall_timeout,
        .total_timeout_ms = config->fetch.head_timeout,
        .may_connect = may_connect_realm,
    };
    if (route_set(upstream, &fetch->realm,
                  !fetch->is_foreign && upstream_is_realm(upstream, &fetch->realm), &request))
        fetch->shows_certificate = true;
    metrics_add(METRIC_upstream_requests, 1);
    return transfer_start(upstream->transfers, &request, &token_handler, fetch, &fetch->transfer,
                          err);
}

static int start_token_transfer(struct token_fetch *fetch, struct error *err)
{
    AUTO_BUF struct buf realm;

    buf_init(&realm, 2048);
    upstream_print_upgraded(fetch->upstream, slice_of(fetch->challenge.realm), &realm);
    int rc = judge_realm(fetch, realm.is_over ? slice_of("") : buf_bytes(&realm), err);
    if (rc != 0)
        return rc;
    build_url(fetch, &fetch->challenge);
    return send_token_request(fetch, err);
}

static int go_on(struct token_fetch *fetch)
{
    int rc = judge_realm(fetch, slice_of(fetch->url), &fetch->err);

    return rc != 0 ? rc : send_token_request(fetch, &fetch->err);
}

/* A token server that answered 429 is not asked before its time, like an upstream that did. */
static int begin_fetch(struct token_fetch *fetch)
{
    uint64_t wait_ms = monotime_since(fetch->upstream->tokens_busy_until, clock_mono());

    if (wait_ms == 0)
        return start_token_transfer(fetch, &fetch->err);
    fetch->retry_after = (wait_ms + 999) / 1000;
    return error_set(&fetch->err, ERR_BUSY, "the token server asked to wait (429)");
}

/* For upstream_unref, and for upstream_free_all: a fetch holds a reference to its upstream. */
static void free_tokens(struct upstream *upstream)
{
    LIST_EACH (link, &upstream->token_fetches) {
        struct token_fetch *fetch = LIST_ITEM(link, struct token_fetch, link);

        while (!list_is_empty(&fetch->waits)) {
            struct token_wait *wait = LIST_ITEM(fetch->waits.next, struct token_wait, link);

            list_remove(&wait->link);
            mem_free(wait);
        }
        token_fetch_free(fetch);
    }
    if (upstream->tokens) {
        map_each(upstream->tokens, free_kept, NULL);
        map_free(&upstream->tokens);
    }
}

static struct token_fetch *find_fetch(const struct bearer_request *request)
{
    LIST_EACH (link, &request->upstream->token_fetches) {
        struct token_fetch *fetch = LIST_ITEM(link, struct token_fetch, link);

        if (slice_equal(slice_of(fetch->repository), request->repository) &&
            (fetch->is_fallback || !request->is_fallback))
            return fetch;
    }
    return NULL;
}

struct token_wait *bearer_get(const struct bearer_request *request, bearer_fn *fn, void *arg)
{
    struct upstream *upstream = request->upstream;
    struct token_fetch *fetch = find_fetch(request);

    if (!fetch) {
        upstream->free_tokens = free_tokens;
        fetch = NEW(struct token_fetch);
        fetch->upstream = upstream_ref(upstream);
        fetch->repository = slice_dup(request->repository);
        fetch->challenge = *request->challenge;
        fetch->is_fallback = request->is_fallback;
        fetch->is_foreign = request->is_foreign;
        buf_init(&fetch->body, TOKEN_JSON_MAX);
        list_init(&fetch->waits);
        list_append(&upstream->token_fetches, &fetch->link);
        if (begin_fetch(fetch) != 0) {
            blame_upstream(&fetch->err);
            loop_defer(upstream->fetcher->options.loop, on_token_refused, fetch);
        }
    }
    struct token_wait *wait = NEW(struct token_wait);
    wait->fn = fn;
    wait->arg = arg;
    list_append(&fetch->waits, &wait->link);
    return wait;
}

void bearer_cancel(struct token_wait **wait)
{
    if (!*wait)
        return;
    /* The fetch itself goes on: the next request needs the token. */
    list_remove(&(*wait)->link);
    mem_free(*wait);
    *wait = NULL;
}
