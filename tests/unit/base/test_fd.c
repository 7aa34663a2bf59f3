/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"

static void close_and_take_leave_minus_one(void **state)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    int taken = fd_take(&fd);

    (void)state;
    assert_int_equal(fd, -1);
    assert_true(taken >= 0);
    fd_close(&fd);
    fd_close(&taken);
    assert_int_equal(taken, -1);
}

static void dup_is_close_on_exec_until_inherited(void **state)
{
    AUTO_CLOSE int fd = memfd_create("test", 0);
    AUTO_CLOSE int copy = -1;
    struct error err;

    (void)state;
    assert_int_equal(fd_dup(fd, &copy, &err), 0);
    assert_true(fcntl(copy, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fd_set_inherited(copy, &err), 0);
    assert_false(fcntl(copy, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fd_dup(-1, &copy, &err), -ERR_IO);
    assert_int_equal(err.sys, EBADF);
}

static void what_is_written_can_be_read_and_no_more(void **state)
{
    AUTO_CLOSE int fd = memfd_create("test", MFD_CLOEXEC);
    struct error err;
    uint64_t size = 0;
    char read_back[8];

    (void)state;
    assert_int_equal(fd_write_all(fd, "abcd", 4, &err), 0);
    assert_int_equal(fd_pwrite_all(fd, "XY", 2, 2, &err), 0);
    assert_int_equal(fd_size(fd, &size, &err), 0);
    assert_int_equal(size, 4);
    assert_int_equal(fd_pread_all(fd, read_back, 4, 0, &err), 0);
    assert_memory_equal(read_back, "abXY", 4);
    assert_int_equal(fd_pread_all(fd, read_back, 4, 1, &err), -ERR_CORRUPT);
    assert_int_equal(fd_pread_all(fd, read_back, 0, 99, &err), 0);
}

static void full_disk_is_no_space(void **state)
{
    AUTO_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct error err;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, "x", 1, &err), -ERR_NO_SPACE);
}

static void memory_file_is_sealed(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    char read_back[5];

    (void)state;
    assert_int_equal(fd_memory_file("config", SLICE_LITERAL("hello"), &fd, &err), 0);
    assert_int_equal(read(fd, read_back, 5), 5);
    assert_memory_equal(read_back, "hello", 5);
    assert_true(fd_pwrite_all(fd, "x", 1, 0, &err) != 0);
    assert_true(ftruncate(fd, 0) != 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_and_take_leave_minus_one),
        cmocka_unit_test(dup_is_close_on_exec_until_inherited),
        cmocka_unit_test(what_is_written_can_be_read_and_no_more),
        cmocka_unit_test(full_disk_is_no_space),
        cmocka_unit_test(memory_file_is_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
