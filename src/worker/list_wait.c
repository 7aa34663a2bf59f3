/* SPDX-License-Identifier: Apache-2.0 */
/* The wait is the request's step, and gone before the list is answered. */
#include "list_wait.h"

#include "ask.h"
#include "base/alloc.h"
#include "base/error.h"
#include "config/config.h"
#include "net/loop.h"
#include "request.h"
#include "worker_state.h"

struct list_wait {
    struct ask_waiter waiter;
    struct request *request;
    struct timer *deadline;
    list_answer_fn *on_answer;
};

static void wait_free(struct list_wait *wait)
{
    loop_cancel_deferred(wait->request->worker->options.loop, wait);
    ask_leave(&wait->waiter);
    timer_free(&wait->deadline);
    mem_free(wait);
}

static void on_gone(struct request *request)
{
    wait_free(request->step);
}

static const struct request_steps wait_steps = {.on_gone = on_gone};

/* The answer may have a step of its own. */
static void finish(struct list_wait *wait, enum message_type type, const void *message)
{
    struct request *request = wait->request;
    list_answer_fn *answer = wait->on_answer;
    request_set_step(request, NULL, NULL);
    wait_free(wait);
    answer(request, type, message);
}

static void on_answer(struct ask_waiter *waiter, enum message_type type, const void *message)
{
    finish(LIST_ITEM(waiter, struct list_wait, waiter), type, message);
}

static void on_late(void *arg)
{
    struct list_wait *wait = arg;
    struct message_failed failed = {
        .kind = ERR_TIMEOUT,
        .text = SLICE_LITERAL("the upstream did not answer in time"),
    };
    finish(wait, MESSAGE_FAILED, &failed);
}

static void on_deadline(void *arg)
{
    struct list_wait *wait = arg;
    loop_defer(wait->request->worker->options.loop, on_late, wait);
}

void list_wait(struct request *request, enum join_kind kind, struct slice query,
               list_answer_fn *answer)
{
    struct worker *worker = request->worker;
    struct list_wait *wait = NEW(struct list_wait);
    struct ask_question question = {
        .kind = kind,
        .origin = request->target.origin,
        .repository = request->target.name,
        .reference = query,
        .digest = request->operation.digest,
    };
    wait->request = request;
    wait->on_answer = answer;
    wait->waiter.on_answer = on_answer;
    wait->deadline = timer_new(worker->options.loop, on_deadline, wait);
    timer_start(wait->deadline, worker->options.config->fetch.deadline);
    request_set_step(request, &wait_steps, wait);
    request->is_asked = true;
    request->is_joined = ask_wait(worker->asks, &question, &wait->waiter);
}
