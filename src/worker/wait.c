/* SPDX-License-Identifier: Apache-2.0 */
/* The wait is the request's step, and gone before the request is answered. */
#include "wait.h"

#include "ask.h"
#include "base/alloc.h"
#include "base/error.h"
#include "net/loop.h"
#include "request.h"
#include "worker_state.h"

struct wait {
    struct ask_waiter waiter;
    struct request *request;
    struct timer *deadline;
    wait_answer_fn *on_answer;
};

static void wait_free(struct wait *wait)
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
static void finish(struct wait *wait, enum message_type type, const void *message)
{
    struct request *request = wait->request;
    wait_answer_fn *answer = wait->on_answer;
    request_set_step(request, NULL, NULL);
    wait_free(wait);
    answer(request, type, message);
}

static void on_answer(struct ask_waiter *waiter, enum message_type type, const void *message)
{
    finish(LIST_ITEM(waiter, struct wait, waiter), type, message);
}

static void on_late(void *arg)
{
    struct wait *wait = arg;
    struct message_failed failed = {
        .kind = ERR_TIMEOUT,
        .text = SLICE_LITERAL("the upstream did not answer in time"),
    };
    finish(wait, MESSAGE_FAILED, &failed);
}

static void on_deadline(void *arg)
{
    struct wait *wait = arg;
    loop_defer(wait->request->worker->options.loop, on_late, wait);
}

void wait_for_answer(struct request *request, const struct ask_question *question,
                     uint64_t within_ms, wait_answer_fn *answer)
{
    struct worker *worker = request->worker;
    struct wait *wait = NEW(struct wait);
    wait->request = request;
    wait->on_answer = answer;
    wait->waiter.on_answer = on_answer;
    wait->deadline = timer_new(worker->options.loop, on_deadline, wait);
    timer_start(wait->deadline, within_ms);
    request_set_step(request, &wait_steps, wait);
    request->is_asked = true;
    request->is_joined = ask_wait(worker->asks, question, &wait->waiter);
}
