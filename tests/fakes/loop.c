/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop in virtual time: real descriptors by poll(2), timers on the frozen clock of base/clock.
 *
 *   turn:  ready descriptors? run their watches
 *          else a timer due? run it (the clock moves to it if nothing is deferred)
 *          else, nothing deferred: wait a little for other threads
 *          then deferred calls, in order
 *
 * The test freezes the clock (clock_freeze) first. Signals are stored and never come, unless the
 * test calls fake_loop_signal.
 */
#include "fakes/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/pool.h"
#include "net/loop.h"

#define SETTLE_TURNS_MAX 1000000U

struct deferred {
    struct list link;
    loop_fn *fn;
    void *arg;
};

struct signal_watch {
    loop_signal_fn *fn;
    void *arg;
};

struct loop {
    struct list watches;
    struct list timers; /* running ones, by deadline, then by start */
    struct list deferred;
    struct list running; /* deferred calls of this turn */
    struct signal_watch signals[NSIG];
    struct pool *pool;
    struct watch *pool_watch;
    loop_turn_fn *on_turn;
    void *on_turn_arg;
    uint64_t last_ms; /* the clock stops moving by itself here; UINT64_MAX: never */
    bool is_stopping;
};

struct watch {
    struct list link;
    struct loop *loop;
    watch_fn *fn;
    void *arg;
    int fd;
    unsigned events;
    unsigned ready; /* in this turn, not yet reported */
};

struct timer {
    struct list link;
    struct loop *loop;
    timer_fn *fn;
    void *arg;
    uint64_t due_ms;
    bool is_running;
};

static fake_ready_fn *filter;

void fake_loop_set_filter(fake_ready_fn *fn)
{
    filter = fn;
}

struct loop *loop_new(void)
{
    struct loop *loop = NEW(struct loop);

    list_init(&loop->watches);
    list_init(&loop->timers);
    list_init(&loop->deferred);
    list_init(&loop->running);
    loop->last_ms = UINT64_MAX;
    return loop;
}

static void run_deferred(struct loop *loop)
{
    while (!list_is_empty(&loop->deferred)) {
        struct list *link = loop->deferred.next;

        list_remove(link);
        list_append(&loop->running, link);
    }
    while (!list_is_empty(&loop->running)) {
        struct deferred *call = LIST_ITEM(loop->running.next, struct deferred, link);

        list_remove(&call->link);
        loop_fn *fn = call->fn;
        void *arg = call->arg;
        mem_free(call);
        fn(arg);
    }
}

void loop_free(struct loop **loop_address)
{
    struct loop *loop = *loop_address;

    if (!loop)
        return;
    while (!list_is_empty(&loop->deferred))
        run_deferred(loop);
    watch_free(&loop->pool_watch);
    CHECK(list_is_empty(&loop->watches)); /* a watch that outlives its loop is a test's mistake */
    CHECK(list_is_empty(&loop->timers));
    mem_free(loop);
    *loop_address = NULL;
}

static nfds_t count_active(struct loop *loop)
{
    nfds_t count = 0;

    LIST_EACH (link, &loop->watches) {
        struct watch *watch = LIST_ITEM(link, struct watch, link);

        watch->ready = WATCH_NONE;
        if (watch->events != WATCH_NONE)
            count++;
    }
    return count;
}

static bool note_ready(struct watch *watch, short revents)
{
    unsigned ready = WATCH_NONE;

    if (revents & (POLLIN | POLLHUP | POLLERR | POLLRDHUP))
        ready |= WATCH_READ;
    if (revents & (POLLOUT | POLLHUP | POLLERR))
        ready |= WATCH_WRITE;
    ready &= watch->events;
    watch->ready = filter ? filter(watch->fd, watch->events, ready) : ready;
    return watch->ready != WATCH_NONE;
}

/* Ask the kernel which watches are ready, waiting for at most wait_ms of real time. */
static bool poll_watches(struct loop *loop, int wait_ms)
{
    nfds_t count = count_active(loop);
    struct pollfd *polled = mem_zalloc(count + 1, sizeof(*polled));
    nfds_t i = 0;

    LIST_EACH (link, &loop->watches) {
        const struct watch *watch = LIST_ITEM(link, struct watch, link);

        if (watch->events == WATCH_NONE)
            continue;
        polled[i].fd = watch->fd;
        if (watch->events & WATCH_READ)
            polled[i].events |= POLLIN | POLLRDHUP;
        if (watch->events & WATCH_WRITE)
            polled[i].events |= POLLOUT;
        i++;
    }
    int ready = poll(polled, count, wait_ms);

    CHECK(ready >= 0 || errno == EINTR);
    bool is_any = false;
    i = 0;
    LIST_EACH (link, &loop->watches) {
        struct watch *watch = LIST_ITEM(link, struct watch, link);

        if (watch->events == WATCH_NONE)
            continue;
        CHECK((polled[i].revents & POLLNVAL) == 0); /* closed before watch_free */
        is_any |= note_ready(watch, ready > 0 ? polled[i].revents : 0);
        i++;
    }
    mem_free(polled);
    return is_any;
}

/* Watches may be changed and freed by each other's callbacks: search again after each. */
static bool run_one_watch(struct loop *loop)
{
    LIST_EACH (link, &loop->watches) {
        struct watch *watch = LIST_ITEM(link, struct watch, link);
        unsigned ready = watch->ready & watch->events;

        watch->ready = WATCH_NONE;
        if (ready == WATCH_NONE)
            continue;
        watch->fn(ready, watch->arg);
        return true;
    }
    return false;
}

static struct timer *first_timer(struct loop *loop)
{
    if (list_is_empty(&loop->timers))
        return NULL;
    return LIST_ITEM(loop->timers.next, struct timer, link);
}

/* Those that are due now; one started by these is for the next turn. */
static bool run_due_timers(struct loop *loop)
{
    uint64_t now = clock_mono().ms;
    struct list due;

    list_init(&due);
    for (struct timer *timer = first_timer(loop); timer && timer->due_ms <= now;
         timer = first_timer(loop)) {
        list_remove(&timer->link);
        list_append(&due, &timer->link);
    }
    bool any = !list_is_empty(&due);
    while (!list_is_empty(&due)) {
        struct timer *timer = LIST_ITEM(due.next, struct timer, link);

        list_remove(&timer->link);
        timer->is_running = false;
        timer->fn(timer->arg);
    }
    return any;
}

static bool advance_to_next_timer(struct loop *loop)
{
    const struct timer *timer = first_timer(loop);
    uint64_t now = clock_mono().ms;

    if (!timer || timer->due_ms > loop->last_ms)
        return false;
    if (timer->due_ms > now)
        clock_advance(timer->due_ms - now);
    return true;
}

static bool other_threads_work(const struct loop *loop)
{
    return loop->pool && pool_pending(loop->pool) > 0;
}

/* False: there was nothing to do. */
static bool run_turn(struct loop *loop, uint64_t wait_ms)
{
    bool is_any = poll_watches(loop, 0);
    bool is_deferred = !list_is_empty(&loop->deferred);

    if (!is_any && !is_deferred) {
        /* Virtual time stands still while pool threads work, or it would outrun them. */
        if (other_threads_work(loop) || !advance_to_next_timer(loop))
            is_any = poll_watches(loop, (int)wait_ms);
    }
    while (run_one_watch(loop))
        ;
    is_any |= run_due_timers(loop);
    run_deferred(loop);
    if (loop->on_turn)
        loop->on_turn(0, loop->on_turn_arg);
    return is_any || is_deferred || other_threads_work(loop);
}

void loop_run(struct loop *loop)
{
    loop->is_stopping = false;
    while (!loop->is_stopping)
        run_turn(loop, 10);
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

void loop_turn(struct loop *loop, uint64_t wait_ms)
{
    run_turn(loop, wait_ms > 60000 ? 60000 : wait_ms);
}

void fake_loop_hold_clock(struct loop *loop, uint64_t ms_from_now)
{
    loop->last_ms = ms_from_now == UINT64_MAX ? UINT64_MAX : clock_mono().ms + ms_from_now;
}

void fake_loop_settle(struct loop *loop)
{
    unsigned turns = 0;

    while (run_turn(loop, 0))
        CHECK(++turns < SETTLE_TURNS_MAX);
}

void fake_loop_signal(struct loop *loop, int signal_number)
{
    const struct signal_watch *watch = &loop->signals[signal_number];

    CHECK(watch->fn);
    watch->fn(signal_number, watch->arg);
}

void loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
    struct deferred *call = NEW(struct deferred);

    call->fn = fn;
    call->arg = arg;
    list_append(&loop->deferred, &call->link);
}

static void cancel_in(struct list *queue, const void *arg)
{
    LIST_EACH (link, queue) {
        struct deferred *call = LIST_ITEM(link, struct deferred, link);

        if (call->arg != arg)
            continue;
        list_remove(&call->link);
        mem_free(call);
    }
}

void loop_cancel_deferred(struct loop *loop, void *arg)
{
    cancel_in(&loop->deferred, arg);
    cancel_in(&loop->running, arg);
}

void loop_on_turn(struct loop *loop, loop_turn_fn *fn, void *arg)
{
    loop->on_turn = fn;
    loop->on_turn_arg = arg;
}

struct watch *watch_new(struct loop *loop, int fd, watch_fn *fn, void *arg)
{
    struct watch *watch = NEW(struct watch);

    watch->loop = loop;
    watch->fd = fd;
    watch->fn = fn;
    watch->arg = arg;
    list_append(&loop->watches, &watch->link);
    return watch;
}

void watch_set(struct watch *watch, unsigned events)
{
    watch->events = events;
}

void watch_free(struct watch **watch)
{
    if (!*watch)
        return;
    list_remove(&(*watch)->link);
    mem_free(*watch);
    *watch = NULL;
}

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
    struct timer *timer = NEW(struct timer);

    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    list_init(&timer->link);
    return timer;
}

void timer_start(struct timer *timer, uint64_t ms)
{
    struct list *timers = &timer->loop->timers;

    list_remove(&timer->link);
    timer->due_ms = clock_mono().ms + ms;
    timer->is_running = true;
    struct list *after = timers->previous;
    while (after != timers && LIST_ITEM(after, struct timer, link)->due_ms > timer->due_ms)
        after = after->previous;
    /* It goes after `after`: list_append inserts before its argument. */
    list_append(after->next, &timer->link);
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->link);
    timer->is_running = false;
}

bool timer_is_running(const struct timer *timer)
{
    return timer->is_running;
}

void timer_free(struct timer **timer)
{
    if (!*timer)
        return;
    timer_stop(*timer);
    mem_free(*timer);
    *timer = NULL;
}

void loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg)
{
    CHECK(signal_number > 0 && signal_number < NSIG);
    loop->signals[signal_number] = (struct signal_watch){.fn = fn, .arg = arg};
}

static void on_pool(unsigned ready, void *arg)
{
    struct loop *loop = arg;

    (void)ready;
    pool_run_done(loop->pool);
}

void loop_add_pool(struct loop *loop, struct pool *pool)
{
    CHECK(!loop->pool);
    loop->pool = pool;
    loop->pool_watch = watch_new(loop, pool_descriptor(pool), on_pool, loop);
    watch_set(loop->pool_watch, WATCH_READ);
}
