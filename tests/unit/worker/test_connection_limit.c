/* SPDX-License-Identifier: Apache-2.0 */
#include "connection_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "scene.h"

static void limit_leaves_a_reserve_and_a_file_for_each(void **state)
{
    (void)state;
    assert_int_equal(connection_limit(65536, 1 << 20), 65536);
    assert_int_equal(connection_limit(65536, UINT64_MAX), 65536);
    assert_int_equal(connection_limit(65536, 1024), 384);
    assert_int_equal(connection_limit(100, 1024), 100);
    assert_int_equal(connection_limit(65536, 256), 8);
    assert_int_equal(connection_limit(65536, 0), 8);
}

static void one_connection_more_than_descriptors_allow_is_503(void **state)
{
    (void)state;
    struct guest guests[10];
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = 256 + 2 * 9, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct scene *scene = scene_new("");
    for (unsigned i = 0; i < 10; i++) {
        guest_connect(scene, &guests[i], LISTENER_FULL);
        guest_send(scene, &guests[i], "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(guest_status(scene, &guests[i]), i < 9 ? 200 : 503);
    }
    for (unsigned i = 0; i < 10; i++)
        guest_leave(scene, &guests[i]);
    scene_free(scene);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_leaves_a_reserve_and_a_file_for_each),
        cmocka_unit_test(one_connection_more_than_descriptors_allow_is_503),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
