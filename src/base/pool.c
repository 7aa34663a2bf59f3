/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for work that blocks.
 *
 *   submit --> ready --> a thread: run --> finished --> loop's thread: done
 *      |         ^
 *      +-> waiting of its key (work with the same key is ready or running)
 *
 * Invariant: at most one work of each key is in `ready` or running, and the key has a line exactly
 * while that is the case. The lock guards everything but `pending`, which belongs to the loop's
 * thread.
 */
#include "base/pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "thread.h"

#define LINE_BUCKETS 256
#define STACK_SIZE   ((size_t)512 * 1024)
#define NICE_STEP    5

struct queue {
    struct pool_work *first;
    struct pool_work *last;
};

/* The work that waits for a key in use. */
struct key_line {
    uint64_t key;
    struct queue waiting;
    struct key_line *next;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t has_ready;
    struct queue ready;
    size_t ready_length;
    struct queue finished;
    struct key_line *lines[LINE_BUCKETS];
    pthread_t *threads;
    unsigned thread_limit;
    unsigned thread_count;
    unsigned idle_count;
    bool is_ending;
    int descriptor;
    size_t pending;
};

static void queue_push(struct queue *queue, struct pool_work *work)
{
    work->next = NULL;
    if (queue->last)
        queue->last->next = work;
    else
        queue->first = work;
    queue->last = work;
}

static struct pool_work *queue_pop(struct queue *queue)
{
    struct pool_work *work = queue->first;

    if (!work)
        return NULL;
    queue->first = work->next;
    if (!queue->first)
        queue->last = NULL;
    work->next = NULL;
    return work;
}

static struct key_line **find_line(struct pool *pool, uint64_t key)
{
    struct key_line **at = &pool->lines[(key * 0x9e3779b97f4a7c15u) >> 56];

    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static void make_ready(struct pool *pool, struct pool_work *work)
{
    queue_push(&pool->ready, work);
    pool->ready_length++;
}

/* Make it ready, or let it wait for others of its key. */
static void enqueue(struct pool *pool, struct pool_work *work)
{
    struct key_line **at;

    if (work->key == 0) {
        make_ready(pool, work);
        return;
    }
    at = find_line(pool, work->key);
    if (*at) {
        queue_push(&(*at)->waiting, work);
        return;
    }
    *at = NEW(struct key_line);
    (*at)->key = work->key;
    make_ready(pool, work);
}

/* The key is free, so the next work in its line becomes ready. */
static void release_key(struct pool *pool, uint64_t key)
{
    struct key_line **at = find_line(pool, key);
    struct key_line *line = *at;
    struct pool_work *next;

    CHECK(line);
    next = queue_pop(&line->waiting);
    if (next) {
        make_ready(pool, next);
        return;
    }
    *at = line->next;
    mem_free(line);
}

static void tell_loop(struct pool *pool)
{
    uint64_t one = 1;

    /* EAGAIN means that the descriptor is readable already. */
    CHECK(write(pool->descriptor, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN);
}

/* The lock is held when it is called and when it returns. */
static void run_one(struct pool *pool, struct pool_work *work)
{
    uint64_t key = work->key;
    bool was_empty;

    pool->ready_length--;
    pthread_mutex_unlock(&pool->lock);
    work->run(work);
    pthread_mutex_lock(&pool->lock);
    if (key)
        release_key(pool, key);
    was_empty = !pool->finished.first;
    queue_push(&pool->finished, work); /* from now on the work may be freed */
    if (was_empty)
        tell_loop(pool);
}

/* Work that keeps a CPU busy must not take it from the loop. On Linux each thread has a nice value
 * of its own. If it cannot be changed, the pool works without it. */
static void step_back(void)
{
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE_STEP);
}

static void *thread_main(void *arg)
{
    struct pool *pool = arg;

    step_back();
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct pool_work *work = queue_pop(&pool->ready);

        if (work) {
            run_one(pool, work);
            continue;
        }
        if (pool->is_ending)
            break;
        pool->idle_count++;
        pthread_cond_wait(&pool->has_ready, &pool->lock);
        pool->idle_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* The status of a child that will not start when it is tried again (master/master.h). */
#define POOL_CANNOT_START 3

static void start_thread(struct pool *pool)
{
    int rc = thread_start(thread_main, pool, STACK_SIZE, &pool->threads[pool->thread_count]);

    if (!rc)
        pool->thread_count++;
    if (pool->thread_count > 0) /* fewer threads than wanted are enough, none is not */
        return;
    log_say(LOG_ERROR,
            "no thread can be started: %s; raise the limit of processes (ulimit -u, TasksMax=, "
            "pids_limit) or of memory (ulimit -v)",
            strerrordesc_np(rc));
    log_flush();
    _exit(POOL_CANNOT_START);
}

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = NEW(struct pool);

    CHECK(threads > 0);
    pool->thread_limit = threads;
    pool->threads = mem_zalloc(threads, sizeof(pthread_t));
    pool->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(pool->descriptor >= 0);
    CHECK(pthread_mutex_init(&pool->lock, NULL) == 0);
    CHECK(pthread_cond_init(&pool->has_ready, NULL) == 0);
    return pool;
}

static void end_threads(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->is_ending = true;
    pthread_cond_broadcast(&pool->has_ready);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        CHECK(pthread_join(pool->threads[i], NULL) == 0);
}

void pool_free(struct pool **pool_pointer)
{
    struct pool *pool = *pool_pointer;

    if (!pool)
        return;
    while (pool->pending) {
        struct pollfd wanted = {.fd = pool->descriptor, .events = POLLIN};

        CHECK(poll(&wanted, 1, -1) >= 0 || errno == EINTR);
        pool_run_done(pool);
    }
    end_threads(pool);
    pthread_cond_destroy(&pool->has_ready);
    pthread_mutex_destroy(&pool->lock);
    fd_close(&pool->descriptor);
    mem_free(pool->threads);
    mem_free(pool);
    *pool_pointer = NULL;
}

void pool_submit(struct pool *pool, struct pool_work *work)
{
    pool->pending++;
    pthread_mutex_lock(&pool->lock);
    enqueue(pool, work);
    if (pool->ready_length > pool->idle_count && pool->thread_count < pool->thread_limit)
        start_thread(pool);
    else if (pool->idle_count)
        pthread_cond_signal(&pool->has_ready);
    pthread_mutex_unlock(&pool->lock);
}

int pool_descriptor(const struct pool *pool)
{
    return pool->descriptor;
}

void pool_run_done(struct pool *pool)
{
    struct queue finished;
    uint64_t told;

    /* There may be nothing to read. */
    CHECK(read(pool->descriptor, &told, sizeof(told)) > 0 || errno == EAGAIN || errno == EINTR);
    pthread_mutex_lock(&pool->lock);
    finished = pool->finished;
    pool->finished = (struct queue){NULL, NULL};
    pthread_mutex_unlock(&pool->lock);
    for (;;) {
        struct pool_work *work = queue_pop(&finished);

        if (!work)
            break;
        pool->pending--;
        work->done(work);
    }
}

size_t pool_pending(const struct pool *pool)
{
    return pool->pending;
}

uint64_t pool_new_key(void)
{
    static _Atomic uint64_t last;

    return ++last;
}
