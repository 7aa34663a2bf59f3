/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose pages are not in memory: the loop does not wait for the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/fd.h"
#include "fake_read_ahead.h"
#include "server_fixture.h"

#define GET "GET /file HTTP/1.1\r\nHost: us\r\n\r\n"

static int setup(void **state)
{
    fake_disk = (struct fake_disk){0};
    return fixture_setup(state);
}

static void a_cold_file_waits_for_the_pool_and_not_on_the_loop(void **state)
{
    struct fixture *f = *state;

    fixture_make_file(f, 100 * 1000);
    const char *answer = fixture_talk(f, GET);
    assert_null(strstr(answer, "begin"));
    assert_int_equal(fake_disk.started, 1);
    assert_int_equal(fake_disk.offset, 0);
    assert_int_equal(fake_disk.length, 100 * 1000);
    assert_int_equal(f->done, 0);
    fake_disk_finish();
    (void)fixture_talk(f, "");
    assert_int_equal(f->received.length, 100 * 1000);
    assert_int_equal(f->last_end, HTTP_END_SENT);
}

static void a_slow_disk_is_not_the_clients_fault(void **state)
{
    struct fixture *f = *state;

    fixture_make_file(f, 1000);
    (void)fixture_talk(f, GET);
    fixture_wait(f, 10 * 60 * 1000);
    assert_int_equal(f->done, 0);
    fake_disk_finish();
    (void)fixture_talk(f, "");
    assert_int_equal(f->last_end, HTTP_END_SENT);
}

static void a_warm_file_is_probed_once_a_mebibyte(void **state)
{
    struct fixture *f = *state;

    fake_disk.warm = UINT64_MAX;
    fixture_make_file(f, 4 * 1024 * 1024);
    (void)fixture_talk(f, GET);
    for (int i = 0; i < 100 && f->done == 0; i++)
        (void)fixture_talk(f, "");
    assert_int_equal(f->last_end, HTTP_END_SENT);
    assert_int_equal(fake_disk.started, 0);
    assert_int_equal(fake_disk.probes, 4);
}

static void what_cannot_be_probed_is_asked_once(void **state)
{
    struct fixture *f = *state;

    fake_disk.is_silent = true;
    fixture_make_file(f, 1000);
    (void)fixture_talk(f, GET);
    (void)fixture_talk(f, GET);
    assert_int_equal(f->done, 2);
    assert_int_equal(fake_disk.probes, 1);
}

static void the_end_of_the_server_cancels_reading_ahead(void **state)
{
    struct fixture *f = *state;

    fixture_make_file(f, 1000);
    (void)fixture_talk(f, GET);
    http_server_free(&f->server);
    assert_int_equal(fake_disk.cancelled, 1);
    assert_int_equal(f->last_end, HTTP_END_GONE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cold_file_waits_for_the_pool_and_not_on_the_loop),
        TEST(a_slow_disk_is_not_the_clients_fault),
        TEST(a_warm_file_is_probed_once_a_mebibyte),
        TEST(what_cannot_be_probed_is_asked_once),
        TEST(the_end_of_the_server_cancels_reading_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
