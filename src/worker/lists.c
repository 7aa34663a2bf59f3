/* SPDX-License-Identifier: Apache-2.0 */
/* Hosted lists come from the ledger in one snapshot; cached ones from the upstream. */
#include "lists.h"

#include <stdio.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "config/config.h"
#include "fetch_error.h"
#include "oci/api_error.h"
#include "page.h"
#include "request.h"
#include "rules/visible.h"
#include "serve.h"
#include "upstream_list.h"
#include "worker_state.h"

#define PATH_SIZE (NAME_MAX_LENGTH + 32)

static void respond_page(struct request *request, const struct page *page, struct headers *headers,
                         const char *path, const char *more, struct buf *body)
{
    AUTO_BUF struct buf link;
    buf_init(&link, PAGE_LINK_MAX);
    page_link(page, path, more, &link);
    headers_add(headers, "Content-Type", SLICE_LITERAL("application/json"));
    if (buf_bytes(&link).length > 0)
        headers_add(headers, "Link", buf_bytes(&link));
    if (!request->outcome)
        request->outcome = "listed";
    request->source = SOURCE_DISK;
    request_respond_buf(request, 200, headers, body);
}

/* ---- tags ---- */

static bool add_tag(struct slice tag, const struct tag *record, void *arg)
{
    (void)record;
    return page_add(arg, tag);
}

static void list_ledger(struct request *request, struct ledger_txn *txn,
                        const struct serve_age *age)
{
    char more[PAGE_NAMESPACE_SIZE];
    const struct operation *operation = &request->operation;
    char path[PATH_SIZE];
    struct page page;
    struct headers headers;
    AUTO_BUF struct buf body;
    page_init(&page, operation, request->config->limits.page);
    visible_tag_each(&request->permit, txn, operation->last, add_tag, &page);
    buf_init(&body, PAGE_BYTES_MAX + 1024);
    buf_printf(&body, "{\"name\":\"%.*s\",\"tags\":[", SLICE_PRINT(operation->name));
    buf_append_slice(&body, buf_bytes(&page.names));
    buf_append_text(&body, "]}");
    request_headers(request, &headers);
    if (age)
        serve_mark_stale(&headers, age);
    (void)snprintf(path, sizeof(path), "/v2/%.*s/tags/list", SLICE_PRINT(operation->name));
    page_print_namespace(operation, more);
    respond_page(request, &page, &headers, path, more, &body);
    page_cleanup(&page);
}

/* The upstream's JSON, as it is; its next page by our own address. */
static void relay_tags(struct request *request, const struct message_answer *answer)
{
    AUTO_BUF struct buf body;
    struct headers headers;
    request_headers(request, &headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("application/json"));
    upstream_list_add_link(request, answer->link, &headers);
    request->source = SOURCE_UPSTREAM;
    request->outcome = "listed by the upstream";
    buf_init(&body, answer->body.length + 1);
    buf_append_slice(&body, answer->body);
    request_respond_buf(request, 200, &headers, &body);
}

static bool list_what_is_here(struct request *request, struct slice warning)
{
    struct serve_age age = {.is_stale = true, .warning = warning};
    struct ledger_txn *txn = worker_read(request->worker);
    resolve_refresh(&request->target, txn);
    bool is_known = request->target.is_known;
    if (is_known) {
        request->outcome = "listed what is here";
        list_ledger(request, txn, &age);
    }
    worker_read_end(request->worker);
    return is_known;
}

static void on_tags(struct request *request, enum message_type type, const void *message)
{
    const struct message_failed *failed = message;
    if (type == MESSAGE_ANSWER) {
        relay_tags(request, message);
        return;
    }
    if (type == MESSAGE_FAILED && failed->kind == ERR_NOT_FOUND) {
        fetch_error_answer(request, failed, API_NAME_UNKNOWN);
        return;
    }
    struct slice warning =
        type == MESSAGE_FAILED ? failed->text : SLICE_LITERAL("the upstream was not asked");
    if (list_what_is_here(request, warning))
        return;
    if (type == MESSAGE_FAILED) {
        fetch_error_answer(request, failed, API_NAME_UNKNOWN);
    } else {
        request_failf(request, API_NAME_UNKNOWN, "there is no such repository");
    }
}

void list_tags(struct request *request, struct ledger_txn *txn)
{
    if (request->target.truth == TRUTH_UPSTREAM) {
        upstream_list_ask(request, JOIN_TAGS_LIST, on_tags);
        return;
    }
    if (!request->target.is_known) {
        request_fail_unknown(request, txn, API_NAME_UNKNOWN);
        return;
    }
    list_ledger(request, txn, NULL);
}

/* ---- catalog ---- */

static bool add_repository(struct slice name, const struct repository *repository, void *arg)
{
    (void)repository;
    return page_add(arg, name);
}

void list_catalog(struct request *request, struct ledger_txn *txn)
{
    const struct operation *operation = &request->operation;
    const struct config *config = request->config;
    struct visible_catalog catalog = {
        .authorizer = &request->worker->options.authorizer,
        .principal = &request->principal,
        .origin = slice_of(""),
    };
    struct page page;
    struct headers headers;
    char more[PAGE_NAMESPACE_SIZE];
    if (operation->has_ns && !resolve_is_own_name(config, operation->ns)) {
        const struct config_upstream *upstream = config_upstream_find(config, operation->ns);
        if (!upstream) {
            request_failf(request, API_NAME_UNKNOWN, "that registry is no upstream of this server");
            return;
        }
        catalog.origin = slice_of(upstream->name);
    }
    page_print_namespace(operation, more);
    page_init(&page, operation, config->limits.page);
    visible_repository_each(&catalog, txn, operation->last, add_repository, &page);
    AUTO_BUF struct buf body;
    buf_init(&body, PAGE_BYTES_MAX + 1024);
    buf_append_text(&body, "{\"repositories\":[");
    buf_append_slice(&body, buf_bytes(&page.names));
    buf_append_text(&body, "]}");
    headers_init(&headers);
    respond_page(request, &page, &headers, "/v2/_catalog", more, &body);
    page_cleanup(&page);
}
