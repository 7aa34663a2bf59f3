/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ahead: it tells its end on the loop's thread, unless it was cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/pool.h"
#include "read_ahead.h"

static void on_here(void *arg)
{
    ++*(unsigned *)arg;
}

static int make_file(void)
{
    int fd = memfd_create("file", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 300 * 1000), 0);
    return fd;
}

static void its_end_is_told_once_although_the_file_was_closed(void **state)
{
    (void)state;
    unsigned told = 0;
    struct pool *pool = pool_new(1);
    int fd = make_file();
    assert_non_null(read_ahead_start(pool, fd, 0, 300 * 1000, on_here, &told));
    fd_close(&fd);
    assert_int_equal(told, 0);
    pool_run_done(pool);
    assert_int_equal(told, 1);
    pool_free(&pool);
    assert_int_equal(told, 1);
}

static void beyond_the_end_of_the_file_there_is_nothing_to_wait_for(void **state)
{
    (void)state;
    unsigned told = 0;
    struct pool *pool = pool_new(1);
    int fd = make_file();
    assert_non_null(read_ahead_start(pool, fd, 1000 * 1000, 300 * 1000, on_here, &told));
    pool_run_done(pool);
    assert_int_equal(told, 1);
    fd_close(&fd);
    pool_free(&pool);
}

static void cancelled_it_tells_nothing(void **state)
{
    (void)state;
    unsigned told = 0;
    struct pool *pool = pool_new(1);
    int fd = make_file();
    struct read_ahead *ahead = read_ahead_start(pool, fd, 0, 1000, on_here, &told);
    read_ahead_cancel(&ahead);
    assert_null(ahead);
    read_ahead_cancel(&ahead);
    pool_run_done(pool);
    assert_int_equal(told, 0);
    fd_close(&fd);
    pool_free(&pool);
}

static void without_a_descriptor_it_does_not_start(void **state)
{
    (void)state;
    struct pool *pool = pool_new(1);
    assert_null(read_ahead_start(pool, -1, 0, 1000, on_here, NULL));
    pool_free(&pool);
}

static void what_was_just_written_is_never_cold(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = make_file();
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    assert_int_not_equal(read_ahead_probe(fd, 0), READ_AHEAD_COLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_end_is_told_once_although_the_file_was_closed),
        cmocka_unit_test(beyond_the_end_of_the_file_there_is_nothing_to_wait_for),
        cmocka_unit_test(cancelled_it_tells_nothing),
        cmocka_unit_test(without_a_descriptor_it_does_not_start),
        cmocka_unit_test(what_was_just_written_is_never_cold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
