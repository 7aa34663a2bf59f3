/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "base/pool.h"

#define JOBS 2000

struct job {
    struct pool_work work;
    int number;
    int *last_of_key; /* written by pool threads without a lock: the key is the lock */
    int done_count;
    struct pool *pool;
    struct job *then;
};

static atomic_int runs;
static atomic_int running;

static struct job *job_of(struct pool_work *work)
{
    return (struct job *)(void *)work;
}

static void run_plain(struct pool_work *work)
{
    (void)work;
    atomic_fetch_add(&runs, 1);
}

static void run_in_order(struct pool_work *work)
{
    struct job *job = job_of(work);

    if (*job->last_of_key == job->number - 1)
        *job->last_of_key = job->number;
    atomic_fetch_add(&runs, 1);
}

static void count_done(struct pool_work *work)
{
    job_of(work)->done_count++;
}

static void submit_next(struct pool_work *work)
{
    struct job *job = job_of(work);

    job->done_count++;
    if (job->then)
        pool_submit(job->pool, &job->then->work);
}

static void wait_for_all(struct pool *pool)
{
    while (pool_pending(pool)) {
        struct pollfd wanted = {.fd = pool_descriptor(pool), .events = POLLIN};

        assert_int_equal(poll(&wanted, 1, 30000), 1);
        pool_run_done(pool);
    }
}

static void all_work_runs_and_is_done_once(void **state)
{
    static struct job jobs[JOBS];
    struct pool *pool = pool_new(4);

    (void)state;
    runs = 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){.work = {.run = run_plain, .done = count_done}};
        pool_submit(pool, &jobs[i].work);
    }
    wait_for_all(pool);
    assert_int_equal(runs, JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].done_count, 1);
    pool_run_done(pool);
    pool_free(&pool);
    assert_null(pool);
    pool_free(&pool);
}

static void work_of_one_key_runs_in_order_one_at_a_time(void **state)
{
    static struct job jobs[JOBS];
    struct pool *pool = pool_new(8);
    uint64_t keys[5];
    int last[5];

    (void)state;
    for (int k = 0; k < 5; k++) {
        keys[k] = pool_new_key();
        last[k] = -1;
        assert_true(keys[k] != 0 && (k == 0 || keys[k] != keys[k - 1]));
    }
    for (int i = 0; i < JOBS; i++) {
        int k = i % 5;

        jobs[i] = (struct job){.work = {.run = run_in_order, .done = count_done, .key = keys[k]},
                               .number = i / 5,
                               .last_of_key = &last[k]};
        pool_submit(pool, &jobs[i].work);
    }
    wait_for_all(pool);
    for (int k = 0; k < 5; k++)
        assert_int_equal(last[k], JOBS / 5 - 1);
    pool_free(&pool);
}

/* Both must be inside at once to get out: a pool that runs one after the other never ends. */
static void meet_the_other(struct pool_work *work)
{
    (void)work;
    atomic_fetch_add(&running, 1);
    while (atomic_load(&running) < 2)
        sched_yield();
}

static void work_of_different_keys_runs_in_parallel(void **state)
{
    struct pool *pool = pool_new(2);
    struct job first = {.work = {.run = meet_the_other, .done = count_done, .key = 1}};
    struct job second = {.work = {.run = meet_the_other, .done = count_done, .key = 2}};

    (void)state;
    running = 0;
    pool_submit(pool, &first.work);
    pool_submit(pool, &second.work);
    wait_for_all(pool);
    assert_int_equal(first.done_count + second.done_count, 2);
    pool_free(&pool);
}

static void free_waits_and_calls_every_done_even_of_work_submitted_there(void **state)
{
    struct pool *pool = pool_new(2);
    struct job second = {.work = {.run = run_plain, .done = count_done}};
    struct job first = {
        .work = {.run = run_plain, .done = submit_next, .key = 7}, .pool = pool, .then = &second};

    (void)state;
    pool_submit(pool, &first.work);
    pool_free(&pool);
    assert_int_equal(first.done_count, 1);
    assert_int_equal(second.done_count, 1);
}

static void pool_never_used_starts_nothing(void **state)
{
    struct pool *pool = pool_new(16);
    struct pollfd wanted = {.fd = pool_descriptor(pool), .events = POLLIN};

    (void)state;
    assert_int_equal(poll(&wanted, 1, 0), 0);
    assert_int_equal(pool_pending(pool), 0);
    pool_free(&pool);
}

static int thread_nice;

static void note_nice(struct pool_work *work)
{
    (void)work;
    thread_nice = getpriority(PRIO_PROCESS, 0);
}

static void threads_yield_to_the_loop(void **state)
{
    struct pool *pool = pool_new(1);
    struct job job = {.work = {.run = note_nice, .done = count_done}};

    (void)state;
    pool_submit(pool, &job.work);
    wait_for_all(pool);
    assert_int_equal(thread_nice, getpriority(PRIO_PROCESS, 0) + 5);
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_work_runs_and_is_done_once),
        cmocka_unit_test(work_of_one_key_runs_in_order_one_at_a_time),
        cmocka_unit_test(work_of_different_keys_runs_in_parallel),
        cmocka_unit_test(free_waits_and_calls_every_done_even_of_work_submitted_there),
        cmocka_unit_test(threads_yield_to_the_loop),
        cmocka_unit_test(pool_never_used_starts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
