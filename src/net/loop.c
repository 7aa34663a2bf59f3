/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to libevent: one event_base, one turn at a time.
 *
 *   turn:  wait (not if calls are deferred) → watches, timers, signals → deferred calls → on_turn
 *
 * Invariant: calls deferred by a deferred call run in the next turn, which does not wait.
 * libevent's clock is coarse and cached; a timer that fires early by our own clock is started
 * again.
 */
#include "net/loop.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"

struct deferred {
    loop_fn *fn; /* NULL: cancelled */
    void *arg;
};

struct deferred_queue {
    struct deferred *calls;
    size_t count;
    size_t capacity;
};

struct signal_watch {
    struct event *event;
    loop_signal_fn *fn;
    void *arg;
};

struct loop {
    struct event_base *base;
    struct event *wait_limit; /* limits the wait of loop_turn */
    struct deferred_queue waiting;
    struct deferred_queue running;
    struct signal_watch signals[NSIG];
    struct pool *pool;
    struct watch *pool_watch;
    loop_turn_fn *on_turn;
    void *on_turn_arg;
    uint64_t busy_since_us; /* 0: this turn has called nothing yet, or there is no on_turn */
    bool is_stopping;
};

struct watch {
    struct event event;
    struct loop *loop;
    watch_fn *fn;
    void *arg;
    int fd;
    unsigned events;
};

struct timer {
    struct event event;
    struct loop *loop;
    timer_fn *fn;
    void *arg;
    uint64_t due_ms;
    bool is_running;
};

/* Not base/clock, which tests may freeze: libevent's clock runs on. */
static uint64_t now_ms(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct timeval timeval_of(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static void on_wait_limit(evutil_socket_t fd, short events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg; /* its only purpose is to end the wait */
}

struct loop *loop_new(void)
{
    struct loop *loop = NEW(struct loop);
    struct event_config *config = event_config_new();

    CHECK(config);
    CHECK(event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(loop->base);
    loop->wait_limit = evtimer_new(loop->base, on_wait_limit, NULL);
    CHECK(loop->wait_limit);
    return loop;
}

static void mark_busy(struct loop *loop)
{
    if (loop->on_turn && loop->busy_since_us == 0)
        loop->busy_since_us = clock_mono_us();
}

static void run_deferred(struct loop *loop)
{
    if (loop->waiting.count == 0)
        return;
    mark_busy(loop);
    struct deferred_queue swap = loop->running;
    loop->running = loop->waiting;
    loop->waiting = swap;
    for (size_t i = 0; i < loop->running.count; i++) {
        struct deferred call = loop->running.calls[i];

        loop->running.calls[i].fn = NULL;
        if (call.fn)
            call.fn(call.arg);
    }
    loop->running.count = 0;
}

void loop_free(struct loop **loop_address)
{
    struct loop *loop = *loop_address;

    if (!loop)
        return;
    /* Most deferred calls free an object. */
    while (loop->waiting.count > 0)
        run_deferred(loop);
    for (int i = 0; i < NSIG; i++) {
        if (loop->signals[i].event)
            event_free(loop->signals[i].event);
    }
    watch_free(&loop->pool_watch);
    event_free(loop->wait_limit);
    event_base_free(loop->base);
    mem_free(loop->waiting.calls);
    mem_free(loop->running.calls);
    mem_free(loop);
    *loop_address = NULL;
}

static void run_turn(struct loop *loop)
{
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

    if (loop->waiting.count > 0)
        flags |= EVLOOP_NONBLOCK;
    CHECK(event_base_loop(loop->base, flags) >= 0);
    run_deferred(loop);
    if (loop->busy_since_us != 0) {
        uint64_t busy_us = clock_mono_us() - loop->busy_since_us;

        loop->busy_since_us = 0;
        if (loop->on_turn)
            loop->on_turn(busy_us, loop->on_turn_arg);
    }
}

void loop_run(struct loop *loop)
{
    loop->is_stopping = false;
    log_batch(true);
    while (!loop->is_stopping) {
        run_turn(loop);
        log_flush();
    }
    log_batch(false);
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

void loop_turn(struct loop *loop, uint64_t wait_ms)
{
    struct timeval limit = timeval_of(wait_ms);

    CHECK(event_add(loop->wait_limit, &limit) == 0);
    run_turn(loop);
    event_del(loop->wait_limit);
}

void loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
    struct deferred_queue *queue = &loop->waiting;

    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 16;
        queue->calls = mem_realloc(queue->calls, queue->capacity * sizeof(*queue->calls));
    }
    queue->calls[queue->count++] = (struct deferred){.fn = fn, .arg = arg};
}

static void cancel_in(struct deferred_queue *queue, const void *arg)
{
    for (size_t i = 0; i < queue->count; i++) {
        if (queue->calls[i].arg == arg)
            queue->calls[i].fn = NULL;
    }
}

void loop_cancel_deferred(struct loop *loop, void *arg)
{
    cancel_in(&loop->waiting, arg);
    cancel_in(&loop->running, arg);
}

void loop_on_turn(struct loop *loop, loop_turn_fn *fn, void *arg)
{
    loop->on_turn = fn;
    loop->on_turn_arg = arg;
}

static void on_watch(evutil_socket_t fd, short events, void *arg)
{
    struct watch *watch = arg;
    unsigned ready = WATCH_NONE;

    (void)fd;
    if (events & EV_READ)
        ready |= WATCH_READ;
    if (events & EV_WRITE)
        ready |= WATCH_WRITE;
    mark_busy(watch->loop);
    watch->fn(ready, watch->arg);
}

struct watch *watch_new(struct loop *loop, int fd, watch_fn *fn, void *arg)
{
    struct watch *watch = NEW(struct watch);

    watch->loop = loop;
    watch->fn = fn;
    watch->arg = arg;
    watch->fd = fd;
    return watch;
}

void watch_set(struct watch *watch, unsigned events)
{
    if (events == watch->events)
        return;
    if (watch->events != WATCH_NONE)
        CHECK(event_del(&watch->event) == 0);
    watch->events = events;
    if (events == WATCH_NONE)
        return;
    short flags = EV_PERSIST;
    if (events & WATCH_READ)
        flags = (short)(flags | EV_READ);
    if (events & WATCH_WRITE)
        flags = (short)(flags | EV_WRITE);
    CHECK(event_assign(&watch->event, watch->loop->base, watch->fd, flags, on_watch, watch) == 0);
    CHECK(event_add(&watch->event, NULL) == 0);
}

void watch_free(struct watch **watch)
{
    if (!*watch)
        return;
    watch_set(*watch, WATCH_NONE);
    mem_free(*watch);
    *watch = NULL;
}

static void add_timer(struct timer *timer, uint64_t ms)
{
    struct timeval in = timeval_of(ms);

    CHECK(event_add(&timer->event, &in) == 0);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    struct timer *timer = arg;
    uint64_t now = now_ms();

    (void)fd;
    (void)events;
    if (now < timer->due_ms) {
        add_timer(timer, timer->due_ms - now);
        return;
    }
    timer->is_running = false;
    mark_busy(timer->loop);
    timer->fn(timer->arg);
}

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
    struct timer *timer = NEW(struct timer);

    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    CHECK(evtimer_assign(&timer->event, loop->base, on_timer, timer) == 0);
    return timer;
}

void timer_start(struct timer *timer, uint64_t ms)
{
    /* No deadline is a century away, and libevent's sums must not overflow. */
    if (ms > (uint64_t)100 * 365 * 24 * 3600 * 1000)
        ms = (uint64_t)100 * 365 * 24 * 3600 * 1000;
    timer->due_ms = now_ms() + ms;
    timer->is_running = true;
    add_timer(timer, ms);
}

void timer_stop(struct timer *timer)
{
    if (!timer->is_running)
        return;
    timer->is_running = false;
    CHECK(event_del(&timer->event) == 0);
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

static void on_signal(evutil_socket_t signal_number, short events, void *arg)
{
    struct loop *loop = arg;
    struct signal_watch *watch = &loop->signals[signal_number];

    (void)events;
    mark_busy(loop);
    watch->fn((int)signal_number, watch->arg);
}

void loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg)
{
    CHECK(signal_number > 0 && signal_number < NSIG);
    struct signal_watch *watch = &loop->signals[signal_number];
    watch->fn = fn;
    watch->arg = arg;
    if (watch->event)
        return;
    watch->event = evsignal_new(loop->base, signal_number, on_signal, loop);
    CHECK(watch->event);
    CHECK(event_add(watch->event, NULL) == 0);
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
