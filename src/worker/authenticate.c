/* SPDX-License-Identifier: Apache-2.0 */
/* While the authenticator has not answered, the wait is the request's step. An authenticator that
 * answers at once costs no timer; a worker without one does nothing here at all. */
#include "authenticate.h"

#include "answer.h"
#include "base/alloc.h"
#include "base/list.h"
#include "net/loop.h"
#include "oci/api_error.h"
#include "request.h"
#include "worker/authenticator.h"
#include "worker_state.h"

#define AUTHENTICATE_MS 15000 /* how long an authenticator may take */

struct judging {
    struct authentication authentication;
    struct request *request;
    struct timer *timer; /* NULL while the authenticator is in `begin` */
    authenticated_fn *then;
};

static void judging_free(struct judging *judging)
{
    loop_cancel_deferred(judging->request->worker->options.loop, judging);
    timer_free(&judging->timer);
    mem_free(judging);
}

/* The request goes on without its step; the caller answers it or hands it on. */
static struct request *judging_end(struct judging *judging)
{
    struct request *request = judging->request;

    request_set_step(request, NULL, NULL);
    judging_free(judging);
    return request;
}

void authentication_accept(struct authentication *authentication, const struct principal *principal)
{
    struct judging *judging = LIST_ITEM(authentication, struct judging, authentication);
    authenticated_fn *then = judging->then;
    struct request *request = judging_end(judging);

    request->principal_name = slice_dup(principal->name);
    request->principal = *principal;
    request->principal.name = slice_of(request->principal_name);
    then(request);
}

void authentication_refuse(struct authentication *authentication, const struct api_error *error,
                           struct slice headers)
{
    struct judging *judging = LIST_ITEM(authentication, struct judging, authentication);
    struct headers all;

    headers_init(&all);
    headers_add_lines(&all, headers);
    request_fail_with(judging_end(judging), error, &all);
}

static void cancel(struct judging *judging)
{
    const struct authenticator *authenticator = &judging->request->worker->options.authenticator;

    authenticator->cancel(&judging->authentication, authenticator->arg);
}

static void on_gone(struct request *request)
{
    struct judging *judging = request->step;

    cancel(judging);
    judging_free(judging);
}

static const struct request_steps judging_steps = {.on_gone = on_gone};

static void on_late(void *arg)
{
    struct judging *judging = arg;
    struct api_error error;

    cancel(judging);
    api_error_set(&error, API_UNAVAILABLE,
                  "it took too long to find out who makes this request; try "
                  "again");
    request_fail(judging_end(judging), &error);
}

static void on_timer(void *arg)
{
    struct judging *judging = arg;

    loop_defer(judging->request->worker->options.loop, on_late, judging);
}

void authenticate(struct request *request, authenticated_fn *then)
{
    struct worker *worker = request->worker;
    const struct authenticator *authenticator = &worker->options.authenticator;

    if (request->listener == LISTENER_CONTROL) {
        /* Who may write to the socket file is the administrator; the kernel has said who it is. */
        request->principal_name = mem_strdup(http_conn_peer(request->conn));
        request->principal = (struct principal){.name = slice_of(request->principal_name)};
        then(request);
        return;
    }
    request->principal = principal_anonymous();
    if (!authenticator->begin || (request->endpoint->needs & NEEDS_NO_LOGIN) != 0) {
        then(request);
        return;
    }
    struct judging *judging = NEW(struct judging);
    judging->authentication = (struct authentication){
        .head = request->head,
        .peer = request_client(request),
        .listener = request->listener,
    };
    judging->request = request;
    judging->then = then;
    request_set_step(request, &judging_steps, judging);
    authenticator->begin(&judging->authentication, authenticator->arg);
    /* The connection ends no request from inside this call: it is still there to be asked whether
     * the authenticator has answered. */
    if (request->steps != &judging_steps)
        return;
    judging->timer = timer_new(worker->options.loop, on_timer, judging);
    timer_start(judging->timer, AUTHENTICATE_MS);
}
