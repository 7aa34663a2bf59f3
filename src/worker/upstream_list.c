/* SPDX-License-Identifier: Apache-2.0 */
/* The query of the upstream's next page goes to the client and comes back unread: some upstreams
 * count by `last`, others by tokens under names of their own. */
#include "upstream_list.h"

#include "answer.h"
#include "base/buf.h"
#include "base/text.h"
#include "config/config.h"
#include "headers.h"
#include "oci/api_error.h"
#include "page.h"
#include "question.h"
#include "request.h"
#include "worker_state.h"

void upstream_list_ask(struct request *request, enum join_kind kind, wait_answer_fn *on_answer)
{
    const struct operation *operation = &request->operation;
    AUTO_BUF struct buf query;

    buf_init(&query, LIST_QUERY_MAX + 1);
    uint64_t max = request->config->limits.page;
    if (operation->has_n)
        buf_printf(&query, "&n=%llu", (unsigned long long)page_limit(operation, max));
    if (operation->has_last) {
        buf_append_text(&query, "&last=");
        text_percent_encode(&query, operation->last, "");
    }
    operation_print_others(operation, &query);
    if (query.is_over) {
        request_failf(request, API_PAGINATION_NUMBER_INVALID,
                      "the query is longer than any that is sent to an upstream; shorten last=");
        return;
    }
    buf_consume(&query, query.length > 0); /* the first '&' */
    struct question_subject subject = {
        .kind = kind,
        .origin = request->target.origin,
        .repository = request->target.name,
        .reference = buf_bytes(&query),
    };
    if (kind == JOIN_REFERRERS)
        subject.digest = operation->digest;
    wait_for_answer(request, &subject, request->config->fetch.deadline, on_answer);
}

void upstream_list_add_link(const struct request *request, struct slice next,
                            struct headers *headers)
{
    if (next.length == 0)
        return;
    const struct operation *operation = &request->operation;
    char text[DIGEST_TEXT_SIZE];
    char more[PAGE_NAMESPACE_SIZE];
    AUTO_BUF struct buf link;
    buf_init(&link, PAGE_LINK_MAX);
    buf_printf(&link, "</v2/%.*s/", SLICE_PRINT(operation->name));
    if (operation->kind == OPERATION_REFERRERS)
        buf_printf(&link, "referrers/%s", digest_print(&operation->digest, text));
    else
        buf_append_text(&link, "tags/list");
    page_print_namespace(operation, more);
    buf_printf(&link, "?%s%.*s>; rel=\"next\"", more, SLICE_PRINT(next));
    headers_add(headers, "Link", buf_bytes(&link));
}
