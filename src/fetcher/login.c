/* SPDX-License-Identifier: Apache-2.0 */
/* See login.h. */
#include "login.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "ipc/message.h"
#include "net/loop.h"
#include "role.h"

#define ANSWER_MS 2000
#define PAUSE_MS  1000 /* "nothing new" is good for so long */

struct logins {
    struct fetcher *fetcher;
    struct list waits;
    struct timer *timer; /* the master does not answer */
    bool is_asked;
    struct monotime idle_since; /* the last answer had nothing new; 0: it had */
};

struct login_wait {
    struct list link;
    login_fn *fn;
    void *arg;
};

static void tell_all(void *arg)
{
    struct logins *logins = arg;
    struct list told;

    timer_stop(logins->timer);
    loop_cancel_deferred(logins->fetcher->options.loop, logins); /* of a second CONFIG */
    logins->is_asked = false;
    list_init(&told);
    while (!list_is_empty(&logins->waits)) {
        struct login_wait *wait = LIST_ITEM(logins->waits.next, struct login_wait, link);

        list_remove(&wait->link);
        list_append(&told, &wait->link);
    }
    /* Who asks again from its callback waits for the next answer. */
    while (!list_is_empty(&told)) {
        struct login_wait *wait = LIST_ITEM(told.next, struct login_wait, link);
        login_fn *fn = wait->fn;
        void *fn_arg = wait->arg;

        list_remove(&wait->link);
        mem_free(wait);
        fn(fn_arg);
    }
}

static void on_silence(void *arg)
{
    struct logins *logins = arg;

    logins->idle_since = clock_mono();
    tell_all(logins);
}

struct logins *logins_new(struct fetcher *fetcher)
{
    struct logins *logins = NEW(struct logins);

    logins->fetcher = fetcher;
    list_init(&logins->waits);
    logins->timer = timer_new(fetcher->options.loop, on_silence, logins);
    return logins;
}

void logins_free(struct logins **logins)
{
    struct logins *gone = TAKE(*logins);

    if (!gone)
        return;
    CHECK(list_is_empty(&gone->waits));
    loop_cancel_deferred(gone->fetcher->options.loop, gone);
    timer_free(&gone->timer);
    mem_free(gone);
}

static bool is_idle(const struct logins *logins)
{
    return logins->idle_since.ms != 0 &&
           monotime_since(clock_mono(), logins->idle_since) < PAUSE_MS;
}

struct login_wait *login_ask(struct logins *logins, login_fn *fn, void *arg)
{
    const struct fetcher_options *options = &logins->fetcher->options;
    struct login_wait *wait = NEW(struct login_wait);

    wait->fn = fn;
    wait->arg = arg;
    list_append(&logins->waits, &wait->link);
    if (logins->is_asked)
        return wait;
    logins->is_asked = true;
    if (is_idle(logins) || !options->ask_master) {
        loop_defer(options->loop, tell_all, logins);
    } else {
        options->ask_master(CONTROL_READ_FILES, 0, options->arg);
        timer_start(logins->timer, ANSWER_MS);
    }
    return wait;
}

void login_cancel(struct login_wait **wait)
{
    if (!*wait)
        return;
    list_remove(&(*wait)->link);
    mem_free(*wait);
    *wait = NULL;
}

void logins_answered(struct logins *logins, bool has_news)
{
    logins->idle_since = has_news ? (struct monotime){0} : clock_mono();
    if (logins->is_asked)
        loop_defer(logins->fetcher->options.loop, tell_all, logins);
}
