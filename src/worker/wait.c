/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait is the request's step, and is freed before the request is answered. That a client has
 * left is seldom noticed before something is sent to it. A half-closed client may have left:
 * it is given at most one more second, and its question is not kept for it.
 */
#include "wait.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "fetcher_client.h"
#include "net/loop.h"
#include "question.h"
#include "request.h"
#include "worker_state.h"

#define LOOK_MS 1000 /* how often we check whether the client has half-closed */

struct wait {
    struct question_waiter waiter;
    struct request *request;
    struct timer *timer;
    uint64_t until_ms;
    wait_answer_fn *on_answer;
};

static void wait_free(struct wait *wait)
{
    loop_cancel_deferred(wait->request->worker->options.loop, wait);
    question_leave(&wait->waiter);
    timer_free(&wait->timer);
    mem_free(wait);
}

static void on_gone(struct request *request)
{
    wait_free(request->step);
}

static const struct request_steps wait_steps = {.on_gone = on_gone};

/* The wait is freed first: on_answer may set a step of its own. */
static void wait_finish(struct wait *wait, enum message_type type, const void *message)
{
    struct request *request = wait->request;
    wait_answer_fn *answer = wait->on_answer;

    request_set_step(request, NULL, NULL);
    wait_free(wait);
    answer(request, type, message);
}

static void on_answer(struct question_waiter *waiter, enum message_type type, const void *message)
{
    wait_finish(LIST_ITEM(waiter, struct wait, waiter), type, message);
}

static void on_wait_late(void *arg)
{
    struct wait *wait = arg;
    struct message_failed failed = {
        .kind = ERR_TIMEOUT,
        .text = SLICE_LITERAL("the upstream did not answer in time"),
    };

    if (!http_conn_has_ended(wait->request->conn))
        question_keep(&wait->waiter);
    wait_finish(wait, MESSAGE_FAILED, &failed);
}

static void check_later(struct wait *wait, uint64_t left_ms)
{
    timer_start(wait->timer, left_ms < LOOK_MS ? left_ms : LOOK_MS);
}

static void on_wait_timer(void *arg)
{
    struct wait *wait = arg;
    uint64_t now = clock_mono().ms;

    if (now < wait->until_ms && !http_conn_has_ended(wait->request->conn)) {
        check_later(wait, wait->until_ms - now);
        return;
    }
    loop_defer(wait->request->worker->options.loop, on_wait_late, wait);
}

static void on_fetcher_full(void *arg)
{
    struct message_failed failed = fetcher_client_full();

    wait_finish(arg, MESSAGE_FAILED, &failed);
}

void wait_for_answer(struct request *request, const struct question_subject *subject,
                     uint64_t within_ms, wait_answer_fn *answer)
{
    struct worker *worker = request->worker;
    struct wait *wait = NEW(struct wait);

    wait->request = request;
    wait->on_answer = answer;
    wait->waiter.on_answer = on_answer;
    wait->timer = timer_new(worker->options.loop, on_wait_timer, wait);
    wait->until_ms = clock_mono().ms + within_ms;
    request_set_step(request, &wait_steps, wait);
    if (!question_wait(worker->questions, subject, &wait->waiter, &request->is_joined)) {
        loop_defer(worker->options.loop, on_fetcher_full, wait);
        return;
    }
    request->is_asked = true;
    check_later(wait, within_ms);
}
