/* SPDX-License-Identifier: Apache-2.0 */
/* Hosted: from the ledger. Cached: the upstream's own list, or while it cannot be asked what of it
 * is here. */
#include "referrers.h"

#include "base/buf.h"
#include "fetch_error.h"
#include "oci/api_error.h"
#include "oci/media_type.h"
#include "referrers_page.h"
#include "request.h"
#include "serve.h"
#include "store/ledger.h"
#include "upstream_list.h"
#include "worker_state.h"

/* Of a manifest that is here. */
static bool list_what_is_here(struct request *request, struct slice warning)
{
    struct serve_age age = {.is_stale = true, .warning = warning};
    struct ledger_txn *txn = worker_read(request->worker);
    resolve_refresh(&request->target, txn);
    /* `last` may be the upstream's own. */
    bool is_here = serve_has_link(txn, &request->target, &request->operation.digest) &&
                   referrers_page_is_valid(request);
    if (is_here)
        referrers_page_answer(request, txn, &age);
    worker_read_end(request->worker);
    return is_here;
}

static void respond_index(struct request *request, struct slice body, struct slice next)
{
    AUTO_BUF struct buf copy;
    struct headers headers;
    request_headers(request, &headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL(MEDIA_TYPE_OCI_INDEX));
    upstream_list_add_link(request, next, &headers);
    buf_init(&copy, body.length);
    buf_append_slice(&copy, body);
    request_respond_buf(request, 200, &headers, &copy);
}

static void on_referrers(struct request *request, enum message_type type, const void *message)
{
    const struct message_failed *failed = message;
    if (type == MESSAGE_ANSWER) {
        const struct message_answer *answer = message;
        request->source = SOURCE_UPSTREAM;
        request->outcome = "listed by the upstream";
        respond_index(request, answer->body, answer->link);
        return;
    }
    if (type == MESSAGE_FAILED && failed->kind != ERR_NOT_FOUND) {
        if (!fetch_error_is_believed(failed) && list_what_is_here(request, failed->text))
            return;
        fetch_error_answer(request, failed, API_NAME_UNKNOWN);
        return;
    }
    request->outcome = "the upstream lists none";
    respond_index(request,
                  SLICE_LITERAL("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                                "\",\"manifests\":[]}"),
                  slice_of(""));
}

void list_referrers(struct request *request, struct ledger_txn *txn)
{
    if (request->target.upstream) {
        upstream_list_ask(request, JOIN_REFERRERS, on_referrers);
    } else if (!referrers_page_is_valid(request)) {
        request_failf(request, API_PAGINATION_NUMBER_INVALID,
                      "last= is not the digest that a page of referrers ended with");
    } else {
        referrers_page_answer(request, txn, NULL);
    }
}
