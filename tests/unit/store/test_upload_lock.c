/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of upload sessions, and what only their holder may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "store/store.h"
#include "store/upload_lock.h"
#include "support/scratch.h"

static struct error err;
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    const char *root = scratch_make();
    return store_prepare(root, &err) != 0 || store_open(root, &store, &err) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(&store);
    scratch_remove();
    return 0;
}

static void lock_is_for_one(void **state)
{
    (void)state;
    int one = -1;
    int two = -1;
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "u", &one, &err), 0);
    assert_int_equal(store_file_open(store, PLACE_UPLOADS, "u", &two, &err), 0);
    assert_int_equal(upload_lock(one, &err), 0);
    assert_int_equal(upload_lock(two, &err), -ERR_BUSY);
    fd_close(&one);
    assert_int_equal(upload_lock(two, &err), 0);
    fd_close(&two);
}

static void claim_of_a_removed_file_is_refused(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "u", &fd, &err), 0);
    assert_int_equal(store_file_remove(store, PLACE_UPLOADS, "u", &err), 0);
    assert_int_equal(upload_claim(store, "u", fd, &err), -ERR_NOT_FOUND);
    fd_close(&fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lock_is_for_one),
        TEST(claim_of_a_removed_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
