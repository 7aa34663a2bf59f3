/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

static char file_name[] = "/tmp/entrepot-failpoint-XXXXXX";

static void write_entries(const char *entries)
{
    FILE *file = fopen(file_name, "we");

    assert_non_null(file);
    assert_true(fputs(entries, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int tear_down(void **state)
{
    (void)state;
    failpoint_clear();
    return unsetenv("ENTREPOT_FAILPOINTS");
}

static void nothing_is_armed_at_first(void **state)
{
    (void)state;
    assert_false(FAILPOINT("a"));
    assert_int_equal(failpoint_hits("a"), 0);
}

static void armed_by_a_test(void **state)
{
    (void)state;
    failpoint_arm("a", 1, 2);
    failpoint_arm("b", 0, 0);
    const bool wanted[] = {false, true, true, false, false};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_int_equal(FAILPOINT("a"), wanted[i]);
        assert_true(FAILPOINT("b"));
    }
    assert_int_equal(failpoint_hits("a"), 5);
    failpoint_clear();
    assert_false(FAILPOINT("b"));
}

static void armed_by_the_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("ENTREPOT_FAILPOINTS", "x=fail:0:1, y=sleep1,z=nonsense", 1), 0);
    assert_true(FAILPOINT("x"));
    assert_false(FAILPOINT("x"));
    uint64_t began = clock_mono_us();
    assert_false(FAILPOINT("y"));
    assert_true(clock_mono_us() - began >= 1000);
    assert_false(FAILPOINT("z"));
}

static void an_entry_of_another_role_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(setenv("ENTREPOT_FAILPOINTS", "x@keeper=fail,x@worker=fail:1", 1), 0);
    assert_false(FAILPOINT("x"));
    log_open("worker", 0, LOG_ERROR, LOG_TEXT);
    assert_false(FAILPOINT("x"));
    assert_true(FAILPOINT("x"));
    log_close();
    log_open("keeper", 0, LOG_ERROR, LOG_TEXT);
    assert_true(FAILPOINT("x"));
    log_close();
}

static void a_file_is_read_again(void **state)
{
    char variable[sizeof(file_name) + 1];

    (void)state;
    (void)snprintf(variable, sizeof(variable), "@%s", file_name);
    assert_int_equal(setenv("ENTREPOT_FAILPOINTS", variable, 1), 0);
    write_entries("");
    assert_false(FAILPOINT("x"));
    write_entries("y=fail\nx=fail:0:1\n");
    assert_true(FAILPOINT("x"));
    assert_false(FAILPOINT("x"));
    write_entries("x=fail:0:2\n");
    assert_true(FAILPOINT("x"));
    write_entries("");
    assert_false(FAILPOINT("x"));
}

static void hit_exit(void)
{
    (void)setenv("ENTREPOT_FAILPOINTS", "x=exit", 1);
    (void)FAILPOINT("x");
}

static void exit_kills_the_process(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;
    child = fork();
    if (child == 0) {
        hit_exit();
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_is_armed_at_first, tear_down),
        cmocka_unit_test_teardown(armed_by_a_test, tear_down),
        cmocka_unit_test_teardown(armed_by_the_environment, tear_down),
        cmocka_unit_test_teardown(an_entry_of_another_role_does_not_count, tear_down),
        cmocka_unit_test_teardown(a_file_is_read_again, tear_down),
        cmocka_unit_test_teardown(exit_kills_the_process, tear_down),
    };
    int fd = mkstemp(file_name);

    if (fd < 0)
        return 1;
    (void)close(fd);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(file_name);
    return rc;
}
