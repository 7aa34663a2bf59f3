/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of names. Those of hosted repositories and the catalog are read from the ledger;
 * those of cached repositories are asked of the upstream. */
#include "lists.h"

#include "answer.h"
#include "base/buf.h"
#include "config/config.h"
#include "fetch_error.h"
#include "listing.h"
#include "oci/api_error.h"
#include "page.h"
#include "request.h"
#include "rules/visible.h"
#include "serve.h"
#include "upstream_list.h"
#include "worker_state.h"

/* ---- tags ---- */

static void print_tags_head(const struct request *request, struct jsonio_writer *json)
{
    jsonio_put_object(json, NULL);
    jsonio_put_string(json, "name", request->operation.name);
    jsonio_put_array(json, "tags");
}

static void print_tags_path(const struct request *request, struct buf *out)
{
    buf_printf(out, "/v2/%.*s/tags/list", SLICE_PRINT(request->operation.name));
}

static bool add_tag(struct slice tag, const struct tag *record, void *arg)
{
    (void)record;
    return page_add(arg, tag);
}

static void read_tags(const struct request *request, struct ledger_txn *txn, struct page *page)
{
    visible_tag_each(&request->permit, txn, request->operation.last, add_tag, page);
}

static const struct listing_kind tags_kind = {
    .print_head = print_tags_head,
    .print_path = print_tags_path,
    .read = read_tags,
    .name_max = TAG_MAX_LENGTH,
};

/* The upstream's JSON is relayed as it is; the Link to its next page has our own address. */
static void relay_tags(struct request *request, const struct message_answer *answer)
{
    struct headers headers;

    request_headers(request, &headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("application/json"));
    upstream_list_add_link(request, answer->link, &headers);
    request->source = SOURCE_UPSTREAM;
    request->outcome = "listed by the upstream";
    request_respond_shared(request, 200, &headers, NULL, answer->body);
}

static bool list_cached_tags(struct request *request, struct slice warning)
{
    struct serve_age age = {.is_stale = true, .warning = warning};
    struct ledger_txn *txn = worker_read(request->worker);

    resolve_refresh(&request->target, txn);
    worker_read_end(request->worker);
    if (!request->target.is_known)
        return false;
    request->outcome = "listed what is cached";
    listing_begin(request, &tags_kind, &age);
    return true;
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
    if (list_cached_tags(request, warning))
        return;
    if (type == MESSAGE_FAILED) {
        fetch_error_answer(request, failed, API_NAME_UNKNOWN);
    } else {
        request_failf(request, API_NAME_UNKNOWN, "there is no repository %.*s here",
                      SLICE_PRINT(request->target.name));
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
    listing_begin(request, &tags_kind, NULL);
}

/* ---- catalog ---- */

static void print_catalog_head(const struct request *request, struct jsonio_writer *json)
{
    (void)request;
    jsonio_put_object(json, NULL);
    jsonio_put_array(json, "repositories");
}

static void print_catalog_path(const struct request *request, struct buf *out)
{
    (void)request;
    buf_append_text(out, "/v2/_catalog");
}

/* Whose catalog it is: ours, or what is cached of an upstream (?ns=). False: of no upstream of
 * ours. */
static bool find_catalog(const struct request *request, struct slice *out_origin)
{
    const struct operation *operation = &request->operation;
    const struct config_upstream *upstream;

    *out_origin = slice_of("");
    if (!operation->has_ns || resolve_is_own_name(request->config, operation->ns))
        return true;
    upstream = config_upstream_find(request->config, registry_canonical(operation->ns));
    if (upstream) {
        *out_origin = slice_of(upstream->name);
        return true;
    }
    char local[ADDRESS_TEXT_SIZE];
    http_conn_print_local(request->conn, local);
    return resolve_is_own_address(request->config, operation->ns, slice_of(local));
}

static bool add_repository(struct slice name, const struct repository *repository, void *arg)
{
    (void)repository;
    return page_add(arg, name);
}

static void read_catalog(const struct request *request, struct ledger_txn *txn, struct page *page)
{
    struct visible_catalog catalog = {
        .authorizer = &request->worker->options.authorizer,
        .principal = &request->principal,
    };

    if (find_catalog(request, &catalog.origin))
        visible_repository_each(&catalog, txn, request->operation.last, add_repository, page);
}

static const struct listing_kind catalog_kind = {
    .print_head = print_catalog_head,
    .print_path = print_catalog_path,
    .read = read_catalog,
    .name_max = NAME_MAX_LENGTH,
};

void list_catalog(struct request *request, struct ledger_txn *txn)
{
    struct slice origin;

    (void)txn;
    if (find_catalog(request, &origin)) {
        listing_begin(request, &catalog_kind, NULL);
    } else {
        request_failf(request, API_NAME_UNKNOWN,
                      "that registry is not an upstream of this server; add it "
                      "under `upstreams:`");
    }
}
