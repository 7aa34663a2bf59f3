/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, shared and private, and their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/map.h"
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
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 2, 0, &err), 0);
    assert_int_equal(metrics_sum(METRIC_hits, ROLE_WORKER), 3);
    assert_int_equal(metrics_sum(METRIC_hits, ROLE_FETCHER), 0);
}

/* A worker that ends slowly counts on; its death takes nothing from its successor. */
static void metrics_of_two_generations_do_not_disturb_each_other(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;

    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 0, 4, &err), 0);
    metrics_set(METRIC_connections, 5);
    metrics_add(METRIC_misses, 1);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 0, 5, &err), 0);
    metrics_set(METRIC_connections, 3);
    metrics_add(METRIC_misses, 1);
    assert_int_equal(metrics_sum(METRIC_connections, ROLE_WORKER), 8);
    metrics_slot_died(ROLE_WORKER, 0, 4);
    assert_int_equal(metrics_sum(METRIC_connections, ROLE_WORKER), 3);
    assert_int_equal(metrics_sum(METRIC_misses, ROLE_WORKER), 2);
}

static void metrics_sum_adds_the_slots_of_a_role(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;

    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 0, 0, &err), 0);
    metrics_add(METRIC_misses, 1);
    metrics_raise(METRIC_loop_longest_us, 50);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, WORKERS_MAX - 1, 0, &err), 0);
    metrics_add(METRIC_misses, 10);
    metrics_raise(METRIC_loop_longest_us, 70);
    metrics_raise(METRIC_loop_longest_us, 60);
    assert_int_equal(metrics_attach(fd, ROLE_KEEPER, 0, 0, &err), 0);
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
    assert_int_equal(metrics_attach(fd, ROLE_MASTER, 0, 0, &err), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (metrics_attach(fd, ROLE_FETCHER, 0, 0, &err) == 0)
            metrics_add(METRIC_flights_started, 5);
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
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 1, 0, &err), 0);
    metrics_set(METRIC_connections, 9);
    metrics_add(METRIC_requests, 4);
    metrics_slot_died(ROLE_WORKER, 0, 0);
    assert_int_equal(metrics_sum(METRIC_connections, ROLE_WORKER), 9);
    metrics_slot_died(ROLE_WORKER, 1, 0);
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
    assert_int_equal(metrics_attach(fd, ROLE_KEEPER, 0, 0, &err), 0);
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
    assert_int_equal(metrics_attach(small, ROLE_WORKER, 0, 0, &err), -ERR_IO);
}

/* ---- names ---- */

static void metrics_names_have_one_index_everywhere(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    char text[16];

    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_FETCHER, 0, 0, &err), 0);
    /* Four processes name the same things at once, in different orders. */
    for (unsigned child = 0; child < 4; child++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
            continue;
        for (unsigned i = 0; i < 20; i++) {
            (void)snprintf(text, sizeof(text), "u%u", (i * 7 + child * 5) % 20);
            metrics_add_at(METRIC_upstream_received_bytes, metrics_name(METRIC_NAME_upstream, text),
                           0, 1);
        }
        _exit(0);
    }
    for (unsigned child = 0; child < 4; child++)
        assert_true(wait(NULL) > 0);
    uint64_t seen = 0;
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof(text), "u%u", i);
        unsigned index = metrics_name(METRIC_NAME_upstream, text);
        assert_in_range(index, 1, 20);
        assert_true((seen & UINT64_C(1) << index) == 0);
        seen |= UINT64_C(1) << index;
        assert_int_equal(metrics_sum_at(METRIC_upstream_received_bytes, index, 0), 4);
    }
}

static void metrics_names_beyond_the_room_are_other(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    char text[80];

    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_FETCHER, 0, 0, &err), 0);
    for (unsigned i = 1; i < 32; i++) {
        (void)snprintf(text, sizeof(text), "u%u", i);
        assert_int_equal(metrics_name(METRIC_NAME_upstream, text), i);
    }
    assert_int_equal(metrics_name(METRIC_NAME_upstream, "one-too-many"), 0);
    assert_int_equal(metrics_name(METRIC_NAME_upstream, "u31"), 31);
    memset(text, 'x', sizeof(text));
    text[64] = '\0';
    assert_int_equal(metrics_name(METRIC_NAME_operation, text), 0);
    text[63] = '\0';
    assert_int_equal(metrics_name(METRIC_NAME_operation, text), 1);
}

static void metrics_attach_takes_labelled_counts_along(void **state)
{
    AUTO_CLOSE int fd = -1;
    struct error err;

    (void)state;

    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 0, 0, &err), 0);
    assert_int_equal(metrics_name(METRIC_NAME_operation, "pull"), 1);
    assert_int_equal(metrics_name(METRIC_NAME_operation, "push"), 2);
    metrics_detach();
    assert_int_equal(metrics_name(METRIC_NAME_operation, "push"), 1);
    metrics_add_at(METRIC_operations, 1, METRIC_STATUS_2xx, 5);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 1, 0, &err), 0);
    assert_int_equal(metrics_sum_at(METRIC_operations, 2, METRIC_STATUS_2xx), 5);
    assert_int_equal(metrics_sum_at(METRIC_operations, 1, METRIC_STATUS_2xx), 0);
}

/* ---- the text ---- */

/* A reader that takes nothing that the format does not allow. */
struct exposition {
    char family[96]; /* of the last TYPE */
    char type[16];
    unsigned families;
    unsigned samples;
    char before[512];   /* the series of the sample before, without le */
    double bound;       /* of the bucket before */
    uint64_t in_bucket; /* so many were in it */
    bool has_sum;
};

static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!is_letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return text.length > 0;
}

static struct slice take_until(struct slice *rest, char byte)
{
    ptrdiff_t at = slice_find(*rest, byte);

    assert_true(at >= 0);
    struct slice part = slice_from(rest->data, (size_t)at);
    *rest = slice_skip(*rest, (size_t)at + 1);
    return part;
}

static void read_comment(struct exposition *page, struct slice line)
{
    bool is_help = slice_starts_with(line, "# HELP ");
    struct slice rest = slice_skip(line, 7);

    assert_true(is_help || slice_starts_with(line, "# TYPE "));
    if (!is_help) {
        assert_true(slice_is(take_until(&rest, ' '), page->family));
        assert_true(slice_is(rest, "counter") || slice_is(rest, "gauge") ||
                    slice_is(rest, "histogram"));
        assert_string_equal(page->type, "");
        (void)snprintf(page->type, sizeof(page->type), "%.*s", SLICE_PRINT(rest));
        assert_int_equal(slice_ends_with(slice_of(page->family), "_total"),
                         slice_is(rest, "counter"));
        return;
    }
    struct slice name = take_until(&rest, ' ');
    assert_true(is_name(name));
    assert_true(rest.length > 0);
    (void)snprintf(page->family, sizeof(page->family), "%.*s", SLICE_PRINT(name));
    page->type[0] = '\0';
    page->families++;
}

/* The value of one label, unescaped bytes only where the format allows them. */
static struct slice take_label_value(struct slice *rest)
{
    assert_true(slice_starts_with(*rest, "\""));
    *rest = slice_skip(*rest, 1);
    struct slice value = {rest->data, 0};
    while (rest->length > 0 && rest->data[0] != '"') {
        size_t step = 1;

        if (rest->data[0] == '\\') {
            assert_true(rest->length > 1 && strchr("\\\"n", rest->data[1]));
            step = 2;
        }
        value.length += step;
        *rest = slice_skip(*rest, step);
    }
    assert_true(rest->length > 0);
    *rest = slice_skip(*rest, 1);
    return value;
}

/* Sets `series` to the labels but le; returns what le is. */
static struct slice read_labels(struct slice *rest, char *series, size_t size)
{
    struct slice le = {NULL, 0};
    size_t used = 0;

    series[0] = '\0';
    if (!slice_starts_with(*rest, "{")) {
        assert_true(slice_starts_with(*rest, " "));
        return le;
    }
    do {
        *rest = slice_skip(*rest, 1);
        struct slice key = take_until(rest, '=');
        assert_true(is_name(key));
        struct slice value = take_label_value(rest);
        if (slice_is(key, "le")) {
            le = value;
        } else {
            used += (size_t)snprintf(series + used, size - used, "%.*s=\"%.*s\",", SLICE_PRINT(key),
                                     SLICE_PRINT(value));
        }
        assert_true(used < size);
    } while (slice_starts_with(*rest, ","));
    assert_true(slice_starts_with(*rest, "}"));
    *rest = slice_skip(*rest, 1);
    return le;
}

/* 17, 0.000125 */
static double read_number(struct slice text)
{
    double number = 0;
    double unit = 0;

    assert_true(text.length > 0);
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '.') {
            assert_true(unit == 0 && i > 0);
            unit = 1;
            continue;
        }
        assert_in_range(text.data[i], '0', '9');
        unit /= 10;
        number =
            unit > 0 ? number + (text.data[i] - '0') * unit : number * 10 + (text.data[i] - '0');
    }
    return number;
}

static void read_histogram(struct exposition *page, struct slice suffix, struct slice le,
                           const char *series, struct slice value)
{
    bool is_next = strcmp(series, page->before) == 0 && page->in_bucket != UINT64_MAX;

    if (slice_is(suffix, "_bucket")) {
        double bound = slice_is(le, "+Inf") ? 1e300 : read_number(le);
        uint64_t count = (uint64_t)read_number(value);

        if (page->bound > 1e299 || page->samples == 0)
            page->bound = -1; /* the last one has ended */
        if (page->bound >= 0)
            assert_true(is_next && bound > page->bound && count >= page->in_bucket);
        page->bound = bound;
        page->in_bucket = count;
        page->has_sum = false;
        return;
    }
    assert_true(is_next && page->bound > 1e299 && le.length == 0);
    if (slice_is(suffix, "_sum")) {
        (void)read_number(value);
        page->has_sum = true;
        return;
    }
    assert_true(slice_is(suffix, "_count") && page->has_sum);
    assert_int_equal((uint64_t)read_number(value), page->in_bucket);
}

static void read_sample(struct exposition *page, struct slice line)
{
    char series[512];
    size_t length = 0;

    while (length < line.length && line.data[length] != '{' && line.data[length] != ' ')
        length++;
    struct slice name = slice_from(line.data, length);
    struct slice rest = slice_skip(line, length);
    assert_true(is_name(name) && slice_starts_with(name, page->family));
    struct slice suffix = slice_skip(name, strlen(page->family));
    struct slice le = read_labels(&rest, series, sizeof(series));
    assert_true(slice_starts_with(rest, " "));
    struct slice value = slice_skip(rest, 1);
    if (strcmp(page->type, "histogram") == 0) {
        read_histogram(page, suffix, le, series, value);
    } else {
        assert_true(suffix.length == 0 && le.length == 0 && page->type[0]);
        for (size_t i = 0; i < value.length; i++)
            assert_in_range(value.data[i], '0', '9');
        assert_true(value.length > 0);
    }
    (void)snprintf(page->before, sizeof(page->before), "%s", series);
    page->samples++;
}

static void read_exposition(struct slice text, struct exposition *page)
{
    struct slice line;

    *page = (struct exposition){.bound = 1e300};
    assert_true(slice_ends_with(text, "\n"));
    text.length--;
    while (slice_split(&text, '\n', &line)) {
        if (slice_starts_with(line, "#"))
            read_comment(page, line);
        else
            read_sample(page, line);
    }
}

/* No two lines are the same up to their value. */
static void expect_distinct(struct slice text)
{
    struct slice line;
    struct map *seen = map_new();

    while (slice_split(&text, '\n', &line)) {
        ptrdiff_t end = slice_find_last(line, ' ');

        if (end >= 0 && !slice_starts_with(line, "#"))
            assert_null(map_set(seen, slice_from(line.data, (size_t)end), seen));
    }
    map_free(&seen);
}

static void expect_text(struct buf *page, const char *text)
{
    if (!strstr(buf_text(page), text))
        fail_msg("there is no \"%s\"", text);
}

static void metrics_print_writes_the_text_format(void **state)
{
    AUTO_CLOSE int fd = -1;
    AUTO_BUF struct buf out;
    struct exposition page;
    struct error err;

    (void)state;

    buf_init(&out, 1000000);
    assert_int_equal(metrics_create(&fd, &err), 0);
    assert_int_equal(metrics_attach(fd, ROLE_WORKER, 0, 0, &err), 0);
    metrics_add(METRIC_requests, 12);
    unsigned pull = metrics_name(METRIC_NAME_operation, "pull_blob");
    metrics_add_at(METRIC_operations, pull, METRIC_STATUS_2xx, 3);
    metrics_observe(METRIC_operation_seconds, pull, 100);
    metrics_observe(METRIC_operation_seconds, pull, 101);
    metrics_observe(METRIC_operation_seconds, pull, 60000000);
    metrics_observe(METRIC_operation_seconds, pull, 3600000000);
    metrics_observe(METRIC_commit_seconds, 0, 5000);
    unsigned odd = metrics_name(METRIC_NAME_upstream, "a\"b\\c\nd");
    metrics_add_at(METRIC_upstream_answers, odd, METRIC_OUTCOME_not_found, 1);
    metrics_print(&out);
    assert_false(out.is_over);
    read_exposition(buf_bytes(&out), &page);
    expect_distinct(buf_bytes(&out));
    assert_int_equal(page.families, METRICS);
    assert_true(page.samples > METRICS * ROLES / 2);
    expect_text(&out, "# HELP entrepot_requests_total Requests answered.\n"
                      "# TYPE entrepot_requests_total counter\n");
    expect_text(&out, "\nentrepot_requests_total{role=\"worker\"} 12\n");
    expect_text(&out, "# TYPE entrepot_connections gauge\n");
    expect_text(&out, "\nentrepot_connections{role=\"keeper\"} 0\n");
    expect_text(&out, "\nentrepot_operations_total{operation=\"pull_blob\",status=\"2xx\"} 3\n");
    expect_text(&out, "\nentrepot_operations_total{operation=\"other\",status=\"none\"} 0\n");
    expect_text(&out, "# TYPE entrepot_operation_seconds histogram\n");
    expect_text(&out, "{operation=\"pull_blob\",le=\"0.0001\"} 1\n");
    expect_text(&out, "{operation=\"pull_blob\",le=\"0.0005\"} 2\n");
    expect_text(&out, "{operation=\"pull_blob\",le=\"10\"} 2\n");
    expect_text(&out, "{operation=\"pull_blob\",le=\"60\"} 3\n");
    expect_text(&out, "{operation=\"pull_blob\",le=\"+Inf\"} 4\n"
                      "entrepot_operation_seconds_sum{operation=\"pull_blob\"} 3660.000201\n"
                      "entrepot_operation_seconds_count{operation=\"pull_blob\"} 4\n");
    expect_text(&out, "\nentrepot_commit_seconds_bucket{le=\"0.005\"} 1\n");
    expect_text(&out, "\nentrepot_commit_seconds_sum 0.005000\nentrepot_commit_seconds_count 1\n");
    expect_text(&out, "\nentrepot_upstream_answers_total{upstream=\"a\\\"b\\\\c\\nd\","
                      "outcome=\"not_found\"} 1\n");
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
        cmocka_unit_test(metrics_of_two_generations_do_not_disturb_each_other),
        cmocka_unit_test(metrics_sum_adds_the_slots_of_a_role),
        cmocka_unit_test(metrics_of_another_process_are_seen),
        cmocka_unit_test(metrics_slot_died_zeroes_gauges_alone),
        cmocka_unit_test(metrics_on_turn_counts_slow_turns),
        cmocka_unit_test(dropped_log_lines_are_counted_once), /* ours is the keeper's slot */
        cmocka_unit_test(metrics_attach_refuses_memory_that_is_not_ours),
        cmocka_unit_test(metrics_names_have_one_index_everywhere),
        cmocka_unit_test(metrics_names_beyond_the_room_are_other),
        cmocka_unit_test(metrics_attach_takes_labelled_counts_along),
        cmocka_unit_test(metrics_print_writes_the_text_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
