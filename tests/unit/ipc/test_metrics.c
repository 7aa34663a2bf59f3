/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, shared and private, and their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "ipc/metrics.h"

static void metrics_count_in_private_memory_first(void **state)
{
    (void)state;

    metrics_add(METRIC_hits, 3);
    assert_int_equal(metrics_sum(METRIC_hits, ROLE_WORKER), 3);
    assert_int_equal(metrics_sum(METRIC_hits, ROLE_FETCHER), 3);
}

static void metrics_attach_takes_the_private_counts_along(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 2, &err), 0);
    assert_int_equal(metrics_sum(METRIC_hits, ROLE_WORKER), 3);
    assert_int_equal(metrics_sum(METRIC_hits, ROLE_FETCHER), 0);
}

static void metrics_sum_adds_the_slots_of_a_role(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 0, &err), 0);
    metrics_add(METRIC_misses, 1);
    metrics_raise(METRIC_loop_longest_us, 50);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, WORKERS_MAX - 1, &err), 0);
    metrics_add(METRIC_misses, 10);
    metrics_raise(METRIC_loop_longest_us, 70);
    metrics_raise(METRIC_loop_longest_us, 60);
    assert_int_equal(metrics_attach(fd, ROLE_KEEPER, 0, &err), 0);
    metrics_add(METRIC_misses, 100);
    assert_int_equal(metrics_sum(METRIC_misses, ROLE_WORKER), 11);
    assert_int_equal(metrics_sum(METRIC_misses, ROLE_KEEPER), 100);
    assert_int_equal(metrics_sum(METRIC_misses, ROLE_MASTER), 0);
    assert_int_equal(metrics_sum(METRIC_misses, ROLE_FETCHER), 0);
    assert_int_equal(metrics_sum(METRIC_loop_longest_us, ROLE_WORKER), 70);
}

static void metrics_of_another_process_are_seen(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    int status = 0;
    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_MASTER, 0, &err), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (metrics_attach(fd, ROLE_FETCHER, 0, &err) == 0) {
            metrics_add(METRIC_flights_started, 5);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(metrics_sum(METRIC_flights_started, ROLE_FETCHER), 5);
}

static void metrics_slot_died_zeroes_gauges_alone(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 1, &err), 0);
    metrics_set(METRIC_connections, 9);
    metrics_add(METRIC_requests, 4);
    metrics_slot_died(ROLE_WORKER, 0);
    assert_int_equal(metrics_sum(METRIC_connections, ROLE_WORKER), 9);
    metrics_slot_died(ROLE_WORKER, 1);
    assert_int_equal(metrics_sum(METRIC_connections, ROLE_WORKER), 0);
    assert_int_equal(metrics_sum(METRIC_requests, ROLE_WORKER), 4);
    assert_int_equal(metrics_sum(METRIC_restarts, ROLE_WORKER), 2);
}

static void metrics_on_turn_counts_slow_turns(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_KEEPER, 0, &err), 0);
    metrics_on_turn(100, NULL);
    metrics_on_turn(10001, NULL);
    metrics_on_turn(60000, NULL);
    metrics_on_turn(300000, NULL);
    assert_int_equal(metrics_sum(METRIC_loop_turns, ROLE_KEEPER), 4);
    assert_int_equal(metrics_sum(METRIC_loop_over_10ms, ROLE_KEEPER), 3);
    assert_int_equal(metrics_sum(METRIC_loop_over_50ms, ROLE_KEEPER), 2);
    assert_int_equal(metrics_sum(METRIC_loop_over_250ms, ROLE_KEEPER), 1);
    assert_int_equal(metrics_sum(METRIC_loop_longest_us, ROLE_KEEPER), 300000);
}

static void metrics_attach_refuses_memory_that_is_not_ours(void **state)
{
    AUTO_CLOSE int small = -1;
    struct error err;
    (void)state;

    assert_int_equal(fd_memory_file("small", slice_of("x"), &small, &err), 0);
    assert_int_equal(metrics_attach(small, ROLE_WORKER, 0, &err), -ERR_IO);
}

/* [a-z_0-9]+, the rest of the line begins with `behind` */
static void expect_line(struct slice line, const char *name, struct slice behind)
{
    assert_true(slice_starts_with(line, name));
    assert_true(slice_equal(slice_skip(line, strlen(name)), behind));
}

static void metrics_print_writes_the_text_format(void **state)
{
    AUTO_CLOSE int fd = -1;
    AUTO_BUF struct buf out;
    struct error err;
    struct slice line;
    unsigned series = 0;
    unsigned families = 0;
    (void)state;

    buf_init(&out, 100000);
    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 0, &err), 0);
    metrics_add(METRIC_requests, 12);
    metrics_print(&out);
    assert_false(out.is_over);
    struct slice rest = buf_bytes(&out);
    assert_true(slice_ends_with(rest, "\n"));
    expect_line(slice_from(rest.data, (size_t)slice_find(rest, '\n')),
                "# HELP entrepot_requests_total ", slice_of("Requests answered."));
    assert_non_null(strstr(buf_text(&out), "# TYPE entrepot_requests_total counter\n"));
    assert_non_null(strstr(buf_text(&out), "\nentrepot_requests_total{role=\"worker\"} 12\n"));
    assert_non_null(strstr(buf_text(&out), "# TYPE entrepot_connections gauge\n"));
    assert_non_null(strstr(buf_text(&out), "\nentrepot_connections{role=\"keeper\"} 0\n"));
    while (slice_split(&rest, '\n', &line) && line.length > 0) {
        families += slice_starts_with(line, "# TYPE entrepot_");
        series += slice_starts_with(line, "entrepot_") && slice_find(line, '{') > 0;
    }
    assert_int_equal(families, METRICS);
    assert_int_equal(series, METRICS * ROLES);
}

static void dropped_log_lines_are_counted_once(void **state)
{
    int ends[2];
    int real_stderr = dup(STDERR_FILENO);
    (void)state;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_open("worker", 1, LOG_INFO, LOG_TEXT);
    for (int i = 0; i < 100000 && log_dropped() < 3; i++)
        log_say(LOG_INFO, "line %d", i);
    log_close();
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    fd_close(&real_stderr);
    assert_int_equal(metrics_sum(METRIC_log_dropped, ROLE_KEEPER), 0);
    metrics_on_turn(1, NULL);
    assert_int_equal(metrics_sum(METRIC_log_dropped, ROLE_KEEPER), 3);
    metrics_on_turn(1, NULL);
    assert_int_equal(metrics_sum(METRIC_log_dropped, ROLE_KEEPER), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_count_in_private_memory_first), /* before any attaches */
        cmocka_unit_test(metrics_attach_takes_the_private_counts_along),
        cmocka_unit_test(metrics_sum_adds_the_slots_of_a_role),
        cmocka_unit_test(metrics_of_another_process_are_seen),
        cmocka_unit_test(metrics_slot_died_zeroes_gauges_alone),
        cmocka_unit_test(metrics_on_turn_counts_slow_turns),
        cmocka_unit_test(dropped_log_lines_are_counted_once), /* ours is the keeper's slot */
        cmocka_unit_test(metrics_attach_refuses_memory_that_is_not_ours),
        cmocka_unit_test(metrics_print_writes_the_text_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
