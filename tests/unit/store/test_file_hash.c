/* SPDX-License-Identifier: Apache-2.0 */
/* Files against their digests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "store/file_hash.h"

#define SIZE ((size_t)700 * 1000) /* several pieces, and a part of one */

static struct error err;

static int make_file(const char *bytes, size_t size)
{
    int fd = memfd_create("file", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fd_pwrite_all(fd, bytes, size, 0, &err), 0);
    return fd;
}

static void bytes_are_compared_to_the_last_one(void **state)
{
    (void)state;
    static const size_t places[] = {0, 262143, 262144, SIZE - 1};
    char *bytes = mem_zalloc(SIZE, 1);
    for (int algorithm = HASH_SHA256; algorithm <= HASH_SHA512; algorithm++) {
        struct digest digest;

        digest_of((enum hash_algorithm)algorithm, slice_from(bytes, SIZE), &digest);
        int fd = make_file(bytes, SIZE);
        assert_int_equal(file_hash_compare(fd, SIZE, &digest, NULL, &err), 0);
        assert_int_equal(file_hash_compare(fd, SIZE - 1, &digest, NULL, &err), -ERR_CORRUPT);
        assert_int_not_equal(file_hash_compare(fd, SIZE + 1, &digest, NULL, &err), 0);
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            assert_int_equal(fd_pwrite_all(fd, "x", 1, places[i], &err), 0);
            assert_int_equal(file_hash_compare(fd, SIZE, &digest, NULL, &err), -ERR_CORRUPT);
            assert_int_equal(fd_pwrite_all(fd, "", 1, places[i], &err), 0);
        }
        fd_close(&fd);
    }
    mem_free(bytes);
}

static void an_empty_file_is_compared_too(void **state)
{
    (void)state;
    struct digest digest;
    digest_of(HASH_SHA256, slice_from("", 0), &digest);
    int fd = make_file("", 0);
    assert_int_equal(file_hash_compare(fd, 0, &digest, NULL, &err), 0);
    digest.bytes[31] ^= 1;
    assert_int_equal(file_hash_compare(fd, 0, &digest, NULL, &err), -ERR_CORRUPT);
    fd_close(&fd);
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    struct digest digest;
    atomic_bool is_cancelled = true;
    digest_of(HASH_SHA256, slice_from("x", 1), &digest);
    int fd = make_file("x", 1);
    assert_int_equal(file_hash_compare(fd, 1, &digest, &is_cancelled, &err), -ERR_CANCELLED);
    fd_close(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_compared_to_the_last_one),
        cmocka_unit_test(an_empty_file_is_compared_too),
        cmocka_unit_test(it_can_be_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
