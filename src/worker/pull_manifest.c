/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET and HEAD of a manifest. By digest, it is served from disk when it is visible in the
 * repository, and else asked of the fetcher. By tag, a hosted repository's ledger decides; a tag of
 * a cached repository is served or asked for:
 *
 *   fresh and here → served
 *   stale and here → the upstream is asked, and the stale one served when its answer takes longer
 *                    than fetch.tag_check_wait or is a failure of the upstream
 *   not here       → the upstream is asked; 504 after fetch.deadline
 */
#include "pull_manifest.h"

#include "answer.h"
#include "base/clock.h"
#include "config/config.h"
#include "fetch_error.h"
#include "oci/api_error.h"
#include "question.h"
#include "request.h"
#include "rules/visible.h"
#include "serve.h"
#include "wait.h"
#include "worker_state.h"

/* ---- from the ledger ---- */

static bool serve_digest(struct request *request, struct ledger_txn *txn,
                         const struct permit *permit, const struct digest *digest,
                         const struct serve_age *age)
{
    struct manifest_record record;

    return visible_manifest(permit, txn, digest, &record) &&
           serve_manifest_record(request, txn, digest, &record, age);
}

/* A tag names a manifest that is linked in its repository: that link must still be there. */
static bool serve_tag(struct request *request, struct ledger_txn *txn, const struct tag *tag,
                      const struct serve_age *age)
{
    struct manifest_record record;

    return visible_own_manifest(&request->permit, txn, &tag->digest, &record) &&
           serve_manifest_record(request, txn, &tag->digest, &record, age);
}

static bool find_tag(const struct request *request, struct ledger_txn *txn, struct tag *out)
{
    return visible_tag(&request->permit, txn, request->operation.tag, out);
}

static bool serve_stale(struct request *request, struct slice warning, uint64_t checked_ms)
{
    struct ledger_txn *txn = worker_read(request->worker);
    struct tag tag;

    resolve_refresh(&request->target, txn);
    bool is_found = find_tag(request, txn, &tag);
    struct serve_age age = {
        .is_stale = true,
        .warning = warning,
        .checked_ms = checked_ms != 0 || !is_found ? checked_ms : tag.checked_ms,
    };
    bool is_served = is_found && serve_tag(request, txn, &tag, &age);
    worker_read_end(request->worker);
    return is_served;
}

/* ---- asking the fetcher ---- */

static void ask_manifest(struct request *request, enum join_kind kind, const struct digest *digest,
                         bool may_be_stale);

/* Clients ask HEAD by a bare name before they push. To them, every failure of the upstream means
 * that the manifest is not here. */
static bool is_pushers_question(const struct request *request)
{
    return request_is_head(request) && request->target.is_bare &&
           request->listener != LISTENER_MIRROR;
}

/* A client that hears that a manifest is here does not push it; some ask by GET. Then the
 * repository itself must have it: it is not enough that its bytes are public. */
static bool needs_proof(const struct request *request)
{
    return request->target.is_bare && request->listener != LISTENER_MIRROR &&
           request->operation.by_digest && request->target.truth == TRUTH_UPSTREAM;
}

static void handle_failure(struct request *request, bool may_be_stale,
                           const struct message_failed *failure)
{
    if (may_be_stale && !fetch_error_is_believed(failure) && serve_stale(request, failure->text, 0))
        return;
    if (is_pushers_question(request)) {
        request_failf(request, API_MANIFEST_UNKNOWN, "%.*s", SLICE_PRINT(failure->text));
        return;
    }
    fetch_error_answer(request, failure, API_MANIFEST_UNKNOWN);
}

static void fail_unreadable(struct request *request, bool may_be_stale)
{
    struct message_failed failure = {
        .kind = ERR_INTERNAL,
        .text = SLICE_LITERAL("the manifest was fetched, but cannot be read from the store"),
    };

    handle_failure(request, may_be_stale, &failure);
}

static void serve_answer(struct request *request, const struct message_answer *answer)
{
    struct serve_body body = {
        .digest = answer->digest,
        .media_type = answer->media_type,
        .bytes = answer->body,
        .size = answer->body.length > 0 ? answer->body.length : answer->size,
    };
    struct serve_age age = {
        .is_stale = answer->state == ANSWER_STALE,
        .checked_ms = answer->checked,
        .warning = answer->warning,
    };

    request->source = SOURCE_UPSTREAM;
    request->outcome = "served from the upstream";
    serve_manifest(request, &body, &age);
}

/* The answer has no bytes: they are in the ledger, or the client asked HEAD and needs none. */
static bool serve_named(struct request *request, const struct message_answer *answer)
{
    struct serve_age age = {
        .is_stale = answer->state == ANSWER_STALE,
        .checked_ms = answer->checked,
        .warning = answer->warning,
    };
    struct ledger_txn *txn = worker_read(request->worker);

    resolve_refresh(&request->target, txn);
    bool is_served = serve_digest(request, txn, &request->permit, &answer->digest, &age);
    worker_read_end(request->worker);
    if (is_served)
        return true;
    if (!request_is_head(request) || answer->size == 0 || answer->media_type.length == 0)
        return false;
    serve_answer(request, answer);
    return true;
}

static void ask_again(struct request *request, bool may_be_stale, enum join_kind kind,
                      const struct digest *digest)
{
    if (++request->tries >= REQUEST_TRIES_MAX)
        fail_unreadable(request, may_be_stale);
    else
        ask_manifest(request, kind, digest, may_be_stale);
}

static void serve_if_here(struct request *request, bool may_be_stale)
{
    struct ledger_txn *txn = worker_read(request->worker);
    struct tag tag;
    bool is_served;

    resolve_refresh(&request->target, txn);
    if (request->operation.by_digest)
        is_served = serve_digest(request, txn, &request->permit, &request->operation.digest, NULL);
    else
        is_served = find_tag(request, txn, &tag) && serve_tag(request, txn, &tag, NULL);
    worker_read_end(request->worker);
    if (!is_served) {
        ask_again(request, may_be_stale, request->operation.by_digest ? JOIN_MANIFEST : JOIN_TAG,
                  &request->operation.digest);
    }
}

static void handle_answer(struct request *request, bool may_be_stale, enum message_type type,
                          const void *message)
{
    const struct message_answer *answer = message;

    if (type == MESSAGE_FAILED)
        handle_failure(request, may_be_stale, message);
    else if (type == MESSAGE_HERE)
        serve_if_here(request, may_be_stale);
    else if (answer->body.length > 0)
        serve_answer(request, answer);
    else if (!serve_named(request, answer))
        ask_again(request, may_be_stale, JOIN_MANIFEST, &answer->digest);
}

static void on_answer(struct request *request, enum message_type type, const void *message)
{
    handle_answer(request, false, type, message);
}

/* The tag is here and may be served stale. */
static void on_check(struct request *request, enum message_type type, const void *message)
{
    handle_answer(request, true, type, message);
}

/* `kind`: JOIN_TAG for the request's tag, JOIN_MANIFEST for `digest`. */
static void ask_manifest(struct request *request, enum join_kind kind, const struct digest *digest,
                         bool may_be_stale)
{
    const struct config *config = request->config;
    struct question_subject subject = {
        .kind = kind,
        .origin = request->target.origin,
        .repository = request->target.name,
        .is_check = kind == JOIN_TAG ? may_be_stale
                                     : needs_proof(request) || permit_is_own_only(&request->permit),
    };

    if (kind == JOIN_TAG)
        subject.reference = request->operation.tag;
    else
        subject.digest = *digest;
    if (may_be_stale)
        wait_for_answer(request, &subject, config->fetch.tag_check_wait, on_check);
    else
        wait_for_answer(request, &subject, config->fetch.deadline, on_answer);
}

/* ---- by digest, by tag ---- */

static void pull_by_digest(struct request *request, struct ledger_txn *txn)
{
    const struct digest *digest = &request->operation.digest;
    struct manifest_record record;
    struct resolved namesake;
    struct permit permit;
    bool may_be_served =
        !needs_proof(request) || visible_own_manifest(&request->permit, txn, digest, &record);

    if (may_be_served && serve_digest(request, txn, &request->permit, digest, NULL))
        return;
    if (resolved_sources(&request->target) != 0) {
        ask_manifest(request, JOIN_MANIFEST, digest, false);
        return;
    }
    if (serve_may_ask_namesake(request, txn, &namesake, &permit) &&
        serve_digest(request, txn, &permit, digest, NULL))
        return;
    request_fail_unknown(request, txn, API_MANIFEST_UNKNOWN);
}

/* With a period of 0 nothing is, not even in the same millisecond or after the clock was set
 * back. */
static bool is_within(uint64_t now, uint64_t since, uint64_t period)
{
    uint64_t age = now > since ? now - since : 0;

    return period == UINT64_MAX || age < period;
}

static void pull_cached_tag(struct request *request, struct ledger_txn *txn)
{
    const struct config_tag_rule *rule =
        config_tag_rule(request->target.upstream, request->operation.tag);
    struct tag tag;
    uint64_t now = clock_wall().ms;
    bool may_be_stale = false;

    if (find_tag(request, txn, &tag)) {
        bool is_fresh =
            rule->is_offline || rule->is_immutable || is_within(now, tag.checked_ms, rule->ttl_ms);

        if (is_fresh && serve_tag(request, txn, &tag, NULL))
            return;
        /* Its file is compared before the upstream is asked: after that the handler would be called
         * again from its beginning, and ask a second time. */
        struct manifest_record record;
        bool is_here = false;
        if (visible_own_manifest(&request->permit, txn, &tag.digest, &record) &&
            !serve_find_manifest(request, txn, &tag.digest, &record, &is_here))
            return;
        may_be_stale = is_here && is_within(now, tag.checked_ms, rule->stale_if_error_ms);
    }
    if (rule->is_offline)
        request_fail_unknown(request, txn, API_MANIFEST_UNKNOWN);
    else
        ask_manifest(request, JOIN_TAG, NULL, may_be_stale);
}

void pull_manifest(struct request *request, struct ledger_txn *txn)
{
    struct tag tag;

    if (request->operation.by_digest)
        pull_by_digest(request, txn);
    else if (request->target.truth == TRUTH_UPSTREAM)
        pull_cached_tag(request, txn);
    else if (!find_tag(request, txn, &tag) || !serve_tag(request, txn, &tag, NULL))
        request_fail_unknown(request, txn, API_MANIFEST_UNKNOWN);
}
