/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that are never waited for. (door: pthread)
 *
 *   submit --> waiting --> a thread: run --> finished --> the loop: done
 *                 |                |            |
 *                 +----------------+------------+-- the owner is gone: drop
 *
 * Invariant: the struct lives as long as its owner or one of its threads; the last of them frees
 * it. Everything in it is guarded by the lock.
 */
#include "base/detached.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "thread.h"

/* The C library's resolver keeps answers of up to 64 KiB on the stack, and its modules may need
 * more. Only the pages that are touched cost memory. */
#define STACK_SIZE ((size_t)1024 * 1024)

struct detached {
    pthread_mutex_t lock;
    struct list waiting;
    struct list finished;
    unsigned thread_limit;
    unsigned thread_count;
    bool is_abandoned;
    int descriptor;
};

static struct detached_call *take_first(struct list *calls)
{
    if (list_is_empty(calls))
        return NULL;
    struct detached_call *call = LIST_ITEM(calls->next, struct detached_call, link);
    list_remove(&call->link);
    return call;
}

static void destroy_detached(struct detached *detached)
{
    CHECK(pthread_mutex_destroy(&detached->lock) == 0);
    fd_close(&detached->descriptor);
    mem_free(detached);
}

/* EAGAIN means that the descriptor is readable already. */
static void tell_loop(const struct detached *detached)
{
    uint64_t one = 1;

    CHECK(write(detached->descriptor, &one, sizeof(one)) == (ssize_t)sizeof(one) ||
          errno == EAGAIN);
}

static void *detached_thread_main(void *arg)
{
    struct detached *detached = arg;
    struct detached_call *call;

    pthread_mutex_lock(&detached->lock);
    while ((call = take_first(&detached->waiting))) {
        pthread_mutex_unlock(&detached->lock);
        call->run(call);
        pthread_mutex_lock(&detached->lock);
        if (detached->is_abandoned) {
            call->drop(call);
        } else {
            list_append(&detached->finished, &call->link);
            tell_loop(detached);
        }
    }
    detached->thread_count--;
    bool is_last = detached->is_abandoned && detached->thread_count == 0;
    pthread_mutex_unlock(&detached->lock);
    if (is_last)
        destroy_detached(detached);
    return NULL;
}

struct detached *detached_new(unsigned threads)
{
    struct detached *detached = NEW(struct detached);

    CHECK(threads > 0);
    detached->thread_limit = threads;
    list_init(&detached->waiting);
    list_init(&detached->finished);
    CHECK(pthread_mutex_init(&detached->lock, NULL) == 0);
    detached->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(detached->descriptor >= 0);
    return detached;
}

void detached_free(struct detached **detached)
{
    struct detached *gone = TAKE(*detached);
    struct detached_call *call;

    if (!gone)
        return;
    pthread_mutex_lock(&gone->lock);
    gone->is_abandoned = true;
    while ((call = take_first(&gone->waiting)))
        call->drop(call);
    while ((call = take_first(&gone->finished)))
        call->drop(call);
    bool is_last = gone->thread_count == 0;
    pthread_mutex_unlock(&gone->lock);
    if (is_last)
        destroy_detached(gone);
}

int detached_submit(struct detached *detached, struct detached_call *call, struct error *err)
{
    int rc = 0;

    pthread_mutex_lock(&detached->lock);
    list_append(&detached->waiting, &call->link);
    if (detached->thread_count < detached->thread_limit) {
        rc = thread_start(detached_thread_main, detached, STACK_SIZE, NULL);
        detached->thread_count += rc == 0 ? 1 : 0;
    }
    bool is_refused = rc != 0 && detached->thread_count == 0;
    if (is_refused)
        list_remove(&call->link);
    pthread_mutex_unlock(&detached->lock);
    if (!is_refused)
        return 0;
    error_set_errno(err, rc, "cannot start a thread");
    err->kind = ERR_BUSY;
    return -ERR_BUSY;
}

int detached_descriptor(const struct detached *detached)
{
    return detached->descriptor;
}

void detached_run_done(struct detached *detached)
{
    struct list finished;
    struct detached_call *call;
    uint64_t told;

    /* There may be nothing to read. */
    CHECK(read(detached->descriptor, &told, sizeof(told)) > 0 || errno == EAGAIN || errno == EINTR);
    list_init(&finished);
    pthread_mutex_lock(&detached->lock);
    while ((call = take_first(&detached->finished)))
        list_append(&finished, &call->link);
    pthread_mutex_unlock(&detached->lock);
    while ((call = take_first(&finished)))
        call->done(call);
}
