/* SPDX-License-Identifier: Apache-2.0 */
/* See fetch.h. */
#include "fetch.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "net/loop.h"
#include "retry.h"
#include "role.h"
#include "upstream.h"

#define HEADERS_MAX (64ul * 1024)

struct fetch {
    struct upstream *upstream;
    enum transfer_method method;
    char *repository;
    char *path;
    const char *accept;
    bool is_blob;
    fetch_fn *fn;
    void *arg;
    struct exchange *exchange;
    struct timer *timer;
    struct retry retry;
    size_t url;
    struct buf headers;
    struct buf body;
    uint64_t content_length;
    bool with_credentials;
};

static void fetch_free(struct fetch *fetch)
{
    exchange_cancel(&fetch->exchange);
    timer_free(&fetch->timer);
    buf_cleanup(&fetch->headers);
    buf_cleanup(&fetch->body);
    mem_free(fetch->repository);
    mem_free(fetch->path);
    mem_free(fetch);
}

static bool on_fetch_head(const struct exchange_answer *answer, void *arg)
{
    struct fetch *fetch = arg;

    buf_clear(&fetch->headers);
    buf_clear(&fetch->body);
    buf_append_slice(&fetch->headers, answer->headers);
    fetch->content_length = answer->content_length;
    fetch->with_credentials = answer->with_credentials;
    return true;
}

static enum transfer_want on_fetch_data(struct slice bytes, void *arg)
{
    struct fetch *fetch = arg;

    buf_append_slice(&fetch->body, bytes);
    return fetch->body.is_over ? TRANSFER_ABORT : TRANSFER_CONTINUE;
}

static void on_fetch_done(const struct exchange_end *end, void *arg)
{
    struct fetch *fetch = arg;
    struct exchange_end over = *end;
    uint64_t delay_ms = 0;

    fetch->exchange = NULL;
    if (fetch->body.is_over) {
        error_set(&over.err, ERR_UPSTREAM,
                  "%s: the answer to %s has more than %zu bytes, which are not taken",
                  fetch->upstream->name, fetch->path, fetch->body.maximum);
        over.is_final = true;
    }
    if (over.err.kind != ERR_NONE && !over.is_final && over.err.kind != ERR_BUSY &&
        retry_next(&fetch->retry, &fetch->url, &delay_ms)) {
        timer_start(fetch->timer, delay_ms);
        return;
    }
    struct fetch_result result = {
        .end = &over,
        .is_over = fetch->body.is_over,
        .headers = buf_bytes(&fetch->headers),
        .body = buf_bytes(&fetch->body),
        .buffer = &fetch->body,
        .content_length = fetch->content_length,
        .with_credentials = fetch->with_credentials,
    };
    fetch->fn(&result, fetch->arg);
    fetch_free(fetch);
}

static const struct exchange_handler fetch_exchange = {
    .on_head = on_fetch_head,
    .on_data = on_fetch_data,
    .on_done = on_fetch_done,
};

static void fetch_try(void *arg)
{
    struct fetch *fetch = arg;
    struct exchange_request request = {
        .upstream = fetch->upstream,
        .first_url = fetch->url,
        .method = fetch->method,
        .repository = slice_of(fetch->repository),
        .path = fetch->path,
        .accept = fetch->accept,
        .is_blob = fetch->is_blob,
        .kind = retry_is_left(&fetch->retry) ? EXCHANGE_TRY : EXCHANGE_QUESTION,
    };

    fetch->exchange = exchange_start(&request, &fetch_exchange, fetch);
}

struct fetch *fetch_start(const struct fetch_request *request, fetch_fn *fn, void *arg)
{
    struct fetch *fetch = NEW(struct fetch);

    fetch->upstream = request->upstream;
    fetch->method = request->method;
    fetch->repository = slice_dup(request->repository);
    fetch->path = mem_strdup(request->path);
    fetch->accept = request->accept;
    fetch->is_blob = request->is_blob;
    fetch->fn = fn;
    fetch->arg = arg;
    fetch->timer = timer_new(request->upstream->fetcher->options.loop, fetch_try, fetch);
    buf_init(&fetch->headers, HEADERS_MAX);
    buf_init(&fetch->body, request->body_max);
    retry_init(&fetch->retry, request->retries, request->upstream->url_count);
    fetch_try(fetch);
    return fetch;
}

void fetch_cancel(struct fetch **fetch)
{
    struct fetch *gone = TAKE(*fetch);

    if (gone)
        fetch_free(gone);
}
