/* SPDX-License-Identifier: Apache-2.0 */
/* See shadow.h. What an upstream keeps from us (401, 403) nobody pulls through here, so that a push
 * takes nothing from anybody. */
#include "shadow.h"

#include "answer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "endpoint.h"
#include "oci/api_error.h"
#include "question.h"
#include "request.h"
#include "rules/may_push.h"
#include "wait.h"
#include "worker_state.h"

#define ANSWER_WITHIN_MS 2000

enum shadow_question { /* in the order in which they are asked */
    SHADOW_REPOSITORY,
    SHADOW_TAG,
};

/* The tag that a manifest is pushed to; empty: none. */
static struct slice tag_of(const struct operation *operation)
{
    if (operation->kind != OPERATION_MANIFEST)
        return slice_of("");
    if (!operation->by_digest)
        return operation->tag;
    return operation->tag_count > 0 ? operation->tags[0] : slice_of("");
}

static void go_on(struct request *request)
{
    struct ledger_txn *txn = worker_read(request->worker);

    request->shadow_asked++;
    resolve_refresh(&request->target, txn);
    request->endpoint->handle(request, txn);
    worker_read_end(request->worker);
}

static void refuse(struct request *request)
{
    struct slice name = request->target.name;

    request_failf(request, API_DENIED,
                  "%s has a repository %.*s, and a push would take its place for everybody who "
                  "pulls it through here; push to another name, or add this one to "
                  "`hosted.reserved` or `hosted.allow` (see `hosted.shadow_check`)",
                  config_upstream_default(request->config)->name, SLICE_PRINT(name));
}

static void handle_no_answer(struct request *request, const struct message_failed *failed)
{
    struct api_error error;
    struct log_line line;

    if (request->config->hosted.shadow_check == SHADOW_CHECK_STRICT) {
        api_error_set(&error, API_UNAVAILABLE,
                      "%s cannot be asked whether it has a repository of this name "
                      "(`hosted.shadow_check: strict`): %.*s",
                      config_upstream_default(request->config)->name, SLICE_PRINT(failed->text));
        request_fail_retry(request, &error, failed->retry_after);
        return;
    }
    log_begin(&line, LOG_WARN);
    log_u64(&line, "req", request->id);
    log_slice(&line, "repo", request->target.name);
    log_end(&line,
            "pushed without knowing whether %s has a repository of this name "
            "(`hosted.shadow_check`): %.*s",
            config_upstream_default(request->config)->name, SLICE_PRINT(failed->text));
    go_on(request);
}

static void on_presence(struct request *request, enum message_type type, const void *message)
{
    const struct message_failed *failed = message;

    if (type != MESSAGE_FAILED)
        refuse(request);
    else if (failed->kind == ERR_NOT_FOUND || failed->kind == ERR_DENIED ||
             failed->kind == ERR_UNAUTHORIZED)
        go_on(request);
    else
        handle_no_answer(request, failed);
}

static void ask_presence(struct request *request, struct slice tag)
{
    struct question_subject subject = {
        .kind = JOIN_PRESENCE,
        .origin = slice_of(config_upstream_default(request->config)->name),
        .repository = request->target.name,
        .reference = tag,
    };

    wait_for_answer(request, &subject, ANSWER_WITHIN_MS, on_presence);
}

bool shadow_may_push(struct request *request)
{
    const struct resolved *target = &request->target;
    struct slice tag = tag_of(&request->operation);
    bool is_marked = target->is_known &&
                     push_mark_is_fresh(request->config, &target->repository, clock_wall().ms);

    if (!push_must_ask(request->config, target))
        return true;
    if (request->shadow_asked == SHADOW_REPOSITORY) {
        if (!is_marked) {
            ask_presence(request, slice_of(""));
            return false;
        }
        request->shadow_asked++;
    }
    if (request->shadow_asked == SHADOW_TAG && tag.length > 0) {
        ask_presence(request, tag);
        return false;
    }
    return true;
}
