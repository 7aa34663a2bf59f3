/* SPDX-License-Identifier: Apache-2.0 */
/* For a cached repository the upstream's own list is relayed; while the upstream cannot be asked,
 * the client gets what is cached of it, marked as stale. */
#include "referrers.h"

#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "base/buf.h"
#include "base/jsonio.h"
#include "config/config.h"
#include "fetch_error.h"
#include "oci/api_error.h"
#include "oci/media_type.h"
#include "question.h"
#include "referrers_page.h"
#include "request.h"
#include "rules/visible.h"
#include "serve.h"
#include "upstream_list.h"
#include "wait.h"
#include "worker_state.h"

#define MEDIA_TYPE_IN_TOTO "application/vnd.in-toto+json"

/* `age`: NULL when it is fresh. */
static void respond_index(struct request *request, struct slice body, struct slice next,
                          const struct serve_age *age)
{
    struct headers headers;

    request_headers(request, &headers);
    if (age)
        serve_mark_stale(&headers, age);
    headers_add(&headers, "Content-Type", SLICE_LITERAL(MEDIA_TYPE_OCI_INDEX));
    upstream_list_add_link(request, next, &headers);
    request_respond_shared(request, 200, &headers, NULL, body);
}

static void respond_none(struct request *request)
{
    request->outcome = "the upstream lists none";
    respond_index(request,
                  SLICE_LITERAL("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                                "\",\"manifests\":[]}"),
                  slice_of(""), NULL);
}

/* ---- upstreams whose address for referrers is no use: clients keep the index under a tag made
 * from the digest ---- */

/* distribution-spec, "Referrers Tag Schema": the tag has at most 64 digits of the digest. */
static void print_tag(const struct digest *digest, char out[TAG_MAX_LENGTH + 1])
{
    char text[DIGEST_TEXT_SIZE];
    const char *colon = strchr(digest_print(digest, text), ':');

    (void)snprintf(out, TAG_MAX_LENGTH + 1, "%.*s-%.64s", (int)(colon - text), text, colon + 1);
}

/* Answers with an index that is in the ledger. */
static bool respond_index_here(struct request *request, struct ledger_txn *txn,
                               const struct digest *digest, const struct serve_age *age)
{
    struct manifest_record record;

    if (!visible_own_manifest(&request->permit, txn, digest, &record) ||
        media_kind_of(record.media_type) != MEDIA_INDEX)
        return false;
    if (record.bytes.length == 0)
        return serve_manifest_record(request, txn, digest, &record, age);
    respond_index(request, record.bytes, slice_of(""), age);
    return true;
}

/* ---- the upstream cannot be asked: what is cached, marked as stale ---- */

static bool on_any_referrer(const struct digest *digest, unsigned kinds, void *arg)
{
    (void)digest;
    (void)kinds;
    *(bool *)arg = true;
    return false;
}

static bool has_referrers(const struct request *request, struct ledger_txn *txn)
{
    bool has_any = false;

    visible_referrer_each(&request->permit, txn, &request->operation.digest, NULL, on_any_referrer,
                          &has_any);
    return has_any;
}

/* The upstream's own list, as its tag was last seen. */
static bool list_cached_tag(struct request *request, struct ledger_txn *txn, struct slice warning)
{
    char text[TAG_MAX_LENGTH + 1];
    struct tag tag;

    print_tag(&request->operation.digest, text);
    if (!visible_tag(&request->permit, txn, slice_of(text), &tag))
        return false;
    struct serve_age age = {.is_stale = true, .checked_ms = tag.checked_ms, .warning = warning};
    return respond_index_here(request, txn, &tag.digest, &age);
}

/* What buildx adds to an image to say how it was built. */
static bool is_attestation(struct slice bytes)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error ignored;

    if (jsonio_parse(bytes, &document, &ignored) != 0)
        return false;
    struct jsonio_value layers = jsonio_member(jsonio_root(document), "layers");
    size_t count = jsonio_length(layers);
    size_t at = 0;
    while (at < count &&
           slice_is(jsonio_string(jsonio_member(jsonio_element(layers, at), "mediaType")),
                    MEDIA_TYPE_IN_TOTO))
        at++;
    return count > 0 && at == count;
}

/* Does the manifest itself say something about another one? Docker asks for the referrers of an
 * attestation before it pulls the image, and ORAS for those of each referrer: an error would end
 * the pull, or the list, of what is here. Such a manifest is not signed for its own sake, so that
 * an empty list hides no signature of an image. */
static bool is_about_another(const struct request *request, struct ledger_txn *txn)
{
    struct manifest_record record;

    return visible_own_manifest(&request->permit, txn, &request->operation.digest, &record) &&
           ((unsigned)record.subject.algorithm != 0 || is_attestation(record.bytes));
}

static bool list_cached(struct request *request, const struct message_failed *failed)
{
    struct ledger_txn *txn = worker_read(request->worker);
    bool is_answered = false;

    resolve_refresh(&request->target, txn);
    /* last= may be the upstream's own, which is no digest. */
    if (visible_links(&request->permit, txn, &request->operation.digest) != 0 &&
        referrers_page_is_valid(request)) {
        is_answered = !has_referrers(request, txn) && list_cached_tag(request, txn, failed->text);
        if (!is_answered) {
            referrers_page_answer(request, failed, is_about_another(request, txn));
            is_answered = true;
        }
    }
    worker_read_end(request->worker);
    return is_answered;
}

static void fail_or_list_cached(struct request *request, const struct message_failed *failed)
{
    if (fetch_error_is_believed(failed) || !list_cached(request, failed))
        fetch_error_answer(request, failed, API_NAME_UNKNOWN);
}

/* ---- the tag ---- */

/* The fetcher said which index the tag names, and that it is in the ledger. */
static bool respond_stored(struct request *request, const struct digest *digest,
                           const struct serve_age *age)
{
    struct ledger_txn *txn = worker_read(request->worker);

    resolve_refresh(&request->target, txn);
    bool is_sent = respond_index_here(request, txn, digest, age);
    worker_read_end(request->worker);
    return is_sent;
}

static bool respond_tagged(struct request *request, const struct message_answer *answer)
{
    struct serve_age stale = {
        .is_stale = true, .checked_ms = answer->checked, .warning = answer->warning};
    const struct serve_age *age = answer->state == ANSWER_STALE ? &stale : NULL;

    if (answer->body.length == 0)
        return respond_stored(request, &answer->digest, age);
    if (media_kind_of(answer->media_type) != MEDIA_INDEX)
        return false;
    respond_index(request, answer->body, slice_of(""), age);
    return true;
}

/* The upstream answers. Only its word makes an empty list: to clients that says that nothing is
 * signed. */
static void on_tag(struct request *request, enum message_type type, const void *message)
{
    const struct message_failed *failed = message;
    struct message_failed unusable = {
        .kind = ERR_UPSTREAM,
        .text =
            SLICE_LITERAL("what the upstream has under the tag for referrers is no image index"),
    };

    request->source = SOURCE_UPSTREAM;
    request->outcome = "listed by the upstream, under a tag";
    if (type == MESSAGE_FAILED && failed->kind == ERR_NOT_FOUND)
        respond_none(request);
    else if (type == MESSAGE_FAILED)
        fail_or_list_cached(request, failed);
    else if (type != MESSAGE_ANSWER || !respond_tagged(request, message))
        fail_or_list_cached(request, &unusable);
}

static void ask_for_tag(struct request *request)
{
    char tag[TAG_MAX_LENGTH + 1];

    print_tag(&request->operation.digest, tag);
    struct question_subject subject = {
        .kind = JOIN_TAG,
        .origin = request->target.origin,
        .repository = request->target.name,
        .reference = slice_of(tag),
    };
    wait_for_answer(request, &subject, request->config->fetch.deadline, on_tag);
}

/* ---- upstreams with the API ---- */

static void on_referrers(struct request *request, enum message_type type, const void *message)
{
    const struct message_failed *failed = message;

    if (type == MESSAGE_ANSWER) {
        const struct message_answer *answer = message;

        request->source = SOURCE_UPSTREAM;
        request->outcome = "listed by the upstream";
        respond_index(request, answer->body, answer->link, NULL);
    } else if (type == MESSAGE_FAILED && failed->kind != ERR_NOT_FOUND) {
        fail_or_list_cached(request, failed);
    } else {
        ask_for_tag(request);
    }
}

void list_referrers(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    if (request->target.truth == TRUTH_UPSTREAM) {
        upstream_list_ask(request, JOIN_REFERRERS, on_referrers);
    } else if (!referrers_page_is_valid(request)) {
        request_failf(request, API_PAGINATION_NUMBER_INVALID,
                      "last= is not the digest that a page of referrers ended with");
    } else {
        referrers_page_answer(request, NULL, true);
    }
}
