/* SPDX-License-Identifier: Apache-2.0 */
/* Asks whose answers are not stored: lists of tags, referrers, the size of a blob, and whether a
 * repository has a blob that is already here. */
#include "ask.h"
#include "base/alloc.h"
#include "base/error.h"
#include "config/config.h"
#include "fetch.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "next_page.h"
#include "received_list.h"
#include "role.h"
#include "upstream.h"

#define LIST_MAX (8ul * 1024 * 1024)

/* ---- HEAD of a blob ---- */

static void on_blob_linked(const struct error *err, void *arg)
{
    struct ask *ask = arg;

    if (err) {
        ask_fail(ask, err, 0);
        return;
    }
    while (!list_is_empty(&ask->followers)) {
        struct follower *follower = LIST_ITEM(ask->followers.next, struct follower, link);

        follower_here(&follower);
    }
    ask_end(ask);
}

static void link_blob(struct ask *ask)
{
    struct message_link message = {
        .digest = ask->digest,
        .origin = ask->origin,
        .repository = slice_of(ask->repository),
    };

    keeper_client_tell(ask->fetcher->keeper, MESSAGE_LINK, &message, false, on_blob_linked, ask);
}

static void answer_size(struct ask *ask, uint64_t size)
{
    struct error err;

    if (size == UINT64_MAX) {
        error_set(&err, ERR_UPSTREAM, "the upstream does not say how large the blob is");
        ask_fail(ask, &err, 0);
        return;
    }
    struct message_answer answer = {
        .state = ANSWER_FRESH,
        .digest = ask->digest,
        .size = size,
        .checked = clock_wall().ms,
    };
    ask_answer(ask, &answer);
    ask_end(ask);
}

static void answer_blob(struct ask *ask, uint64_t size)
{
    if (ask->kind == JOIN_BLOB)
        link_blob(ask);
    else
        answer_size(ask, size);
}

/* Only the head is wanted: the body is over its limit at once. */
static void on_blob_get(const struct fetch_result *result, void *arg)
{
    struct ask *ask = arg;

    ask->fetch = NULL;
    if (result->end->err.kind != ERR_NONE && !result->is_over)
        ask_fail(ask, &result->end->err, result->end->retry_after);
    else
        answer_blob(ask, result->content_length);
}

/* Some upstreams do not know HEAD of a blob, and addresses that they redirect to may be signed for
 * GET alone. */
static bool is_head_no_use(const struct fetch_result *result)
{
    int status = result->end->status;

    if (result->end->err.kind == ERR_NONE)
        return result->content_length == UINT64_MAX;
    return status == 400 || status == 403 || status == 405 || status == 501;
}

static void ask_blob(struct ask *ask, enum transfer_method method, fetch_fn *fn);

static void on_blob_head(const struct fetch_result *result, void *arg)
{
    struct ask *ask = arg;

    ask->fetch = NULL;
    if (is_head_no_use(result))
        ask_blob(ask, TRANSFER_GET, on_blob_get);
    else if (result->end->err.kind != ERR_NONE)
        ask_fail(ask, &result->end->err, result->end->retry_after);
    else
        answer_blob(ask, result->content_length);
}

static void ask_blob(struct ask *ask, enum transfer_method method, fetch_fn *fn)
{
    char path[512];

    upstream_print_blob_path(slice_of(ask->repository), &ask->digest, path, sizeof(path));
    struct fetch_request request = {
        .method = method,
        .path = path,
        .body_max = 1,
        .is_blob = true,
        .retries = ask->fetcher->config->fetch.retries,
    };
    ask_fetch(ask, &request, fn);
}

/* ---- lists ---- */

static void on_received_list_read(struct received_list *list, const struct error *err, void *arg)
{
    struct ask *ask = arg;

    if (err) {
        struct error copy = *err;

        error_wrap(&copy, "%.60s: %.80s", ask->upstream->name, ask->repository);
        ask_fail(ask, &copy, 0);
        return;
    }
    struct message_answer answer;
    received_list_answer(list, &answer);
    ask_answer_payload(ask, &answer, list->payload_fd);
    ask_end(ask);
}

/* The address for referrers is no use: not known, not allowed, or a web page. Then clients keep the
 * list under a tag, as for an upstream that says 404. What may pass (5xx, 429) says nothing. */
static bool is_no_use(const struct exchange_end *end)
{
    return end->status == 200 || end->status == 501 ||
           (end->status >= 400 && end->status < 500 && end->status != 408 && end->status != 429);
}

static void fail_list(struct ask *ask, const struct exchange_end *end)
{
    struct error err = end->err;

    if (ask->kind == JOIN_REFERRERS && is_no_use(end))
        err.kind = ERR_NOT_FOUND;
    ask_fail(ask, &err, end->retry_after);
}

static void on_list(const struct fetch_result *result, void *arg)
{
    struct ask *ask = arg;
    AUTO_BUF struct buf next;

    buf_init(&next, LIST_QUERY_MAX);
    ask->fetch = NULL;
    if (result->end->err.kind != ERR_NONE) {
        fail_list(ask, result->end);
        return;
    }
    next_page_read(ask->upstream, result->headers, slice_of(ask->reference), &next);
    ask->list = received_list_new(ask->fetcher, ask->kind, ask->repository, result->buffer);
    ask->list->asked = mem_strdup(ask->reference);
    ask->list->link = slice_dup(buf_bytes(&next));
    ask->list->checked_ms = clock_wall().ms;
    ask_set_state(ask, ASK_READING);
    received_list_read(ask->list, on_received_list_read, ask);
}

static void ask_list(struct ask *ask)
{
    AUTO_BUF struct buf path;
    char text[DIGEST_TEXT_SIZE];
    struct error err;

    buf_init(&path, 4096);
    if (!next_page_is_query(slice_of(ask->reference))) {
        error_set(&err, ERR_INVALID, "the query has characters that are not allowed in a URL");
        ask_fail(ask, &err, 0);
        return;
    }
    if (ask->kind == JOIN_TAGS_LIST)
        buf_printf(&path, "%s/tags/list", ask->repository);
    else
        buf_printf(&path, "%s/referrers/%s", ask->repository, digest_print(&ask->digest, text));
    if (ask->reference[0] != '\0')
        buf_printf(&path, "?%s", ask->reference);
    struct fetch_request request = {
        .method = TRANSFER_GET,
        .path = buf_text(&path),
        .body_max = LIST_MAX,
        .retries = ask->fetcher->config->fetch.retries,
    };
    ask_fetch(ask, &request, on_list);
}

void ask_begin_list(struct ask *ask)
{
    if (ask->kind == JOIN_BLOB || ask->kind == JOIN_BLOB_SIZE)
        ask_blob(ask, TRANSFER_HEAD, on_blob_head);
    else
        ask_list(ask);
}
