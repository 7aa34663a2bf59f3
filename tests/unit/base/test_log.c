/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/jsonio.h"
#include "base/log.h"

static int real_stderr = -1;
static char captured[16384];

static void redirect(int fd)
{
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static int set_up(void **state)
{
    (void)state;
    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    clock_freeze((struct monotime){0}, (struct walltime){1789726272345});
    return real_stderr < 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_close();
    redirect(real_stderr);
    fd_close(&real_stderr);
    return 0;
}

/* What arrived in the memory file that stderr is. */
static const char *read_captured(int fd)
{
    ssize_t length = pread(fd, captured, sizeof(captured) - 1, 0);

    assert_true(length >= 0);
    captured[length] = '\0';
    return captured;
}

static void text_lines_look_as_documented(void **state)
{
    AUTO_CLOSE int fd = memfd_create("log", MFD_CLOEXEC);
    struct log_line line;

    (void)state;
    redirect(fd);
    log_open("worker", 3, LOG_INFO, LOG_TEXT);
    log_begin(&line, LOG_INFO);
    log_u64(&line, "conn", 812);
    log_text(&line, "op", "pull_blob");
    log_printf(&line, "part", "%d of %d", 1, 2);
    log_text(&line, "evil", "a\"b\n\x1b");
    log_text(&line, "empty", "");
    log_slice(&line, "none", slice_from(NULL, 0));
    log_end(&line, "served from %s", "store");
    log_open("keeper", -1, LOG_INFO, LOG_TEXT);
    log_say(LOG_WARN, "full");
    assert_string_equal(read_captured(fd),
                        "2026-09-18T10:11:12.345Z info worker[3] conn=812 op=pull_blob "
                        "part=\"1 of 2\" evil=\"a\\\"b\\n\\x1b\" empty=\"\" none=\"\" "
                        "\"served from store\"\n"
                        "2026-09-18T10:11:12.345Z warn keeper \"full\"\n");
}

static void json_lines_are_json(void **state)
{
    AUTO_CLOSE int fd = memfd_create("log", MFD_CLOEXEC);
    AUTO_JSONIO struct jsonio *document = NULL;
    struct log_line line;
    struct error err;

    (void)state;
    redirect(fd);
    log_open("fetcher", 0, LOG_INFO, LOG_JSON);
    log_begin(&line, LOG_ERROR);
    log_u64(&line, "conn", 812);
    log_ms(&line, "ms", 12345);
    log_text(&line, "evil", "a\"\\\n\x1b\xff");
    log_end(&line, "no\tmore");
    assert_string_equal(
        read_captured(fd),
        "{\"time\":\"2026-09-18T10:11:12.345Z\",\"level\":\"error\",\"role\":"
        "\"fetcher\",\"slot\":0,\"conn\":812,\"ms\":12.3,\"evil\":\"a\\\"\\\\\\n\\\\x1b"
        "\\\\xff\",\"message\":\"no\\\\x09more\"}\n");
    assert_int_equal(jsonio_parse(slice_of(captured), &document, &err), 0);
}

/* Whatever does not fit, the line ends properly and is at most 4 KiB. */
static void long_lines_are_cut_but_whole(void **state)
{
    const enum log_format formats[] = {LOG_TEXT, LOG_JSON};
    char value[2000];

    (void)state;
    memset(value, '"', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (size_t i = 0; i < 2; i++) {
        AUTO_CLOSE int fd = memfd_create("log", MFD_CLOEXEC);
        struct log_line line;
        size_t length;

        redirect(fd);
        log_open("worker", 1, LOG_INFO, formats[i]);
        log_begin(&line, LOG_INFO);
        for (int n = 0; n < 400; n++) {
            log_text(&line, "key", n % 7 ? "x" : value);
            log_u64(&line, "number", UINT64_MAX);
        }
        log_end(&line, "%s", value);
        length = strlen(read_captured(fd));
        assert_in_range(length, 3000, 4096);
        assert_true(slice_ends_with(slice_of(captured), i ? "\"}\n" : "\"\n"));
        assert_ptr_equal(strchr(captured, '\n'), captured + length - 1);
    }
}

static void levels_that_are_off_cost_nothing(void **state)
{
    AUTO_CLOSE int fd = memfd_create("log", MFD_CLOEXEC);
    struct log_line line;

    (void)state;
    redirect(fd);
    log_open("worker", 1, LOG_WARN, LOG_TEXT);
    log_begin(&line, LOG_INFO);
    log_text(&line, "key", "value");
    log_end(&line, "unseen");
    assert_false(log_is_on(LOG_INFO));
    assert_string_equal(read_captured(fd), "");
    log_open("worker", 1, LOG_DEBUG, LOG_TEXT);
    log_say(LOG_DEBUG, "seen");
    assert_non_null(strstr(read_captured(fd), "debug worker[1] \"seen\""));
}

static void before_log_open_lines_go_to_stderr(void **state)
{
    AUTO_CLOSE int fd = memfd_create("log", MFD_CLOEXEC);

    (void)state;
    redirect(fd);
    log_say(LOG_ERROR, "early");
    assert_string_equal(read_captured(fd), "2026-09-18T10:11:12.345Z error \"early\"\n");
}

static void batched_lines_wait_for_the_flush_but_warnings_do_not(void **state)
{
    AUTO_CLOSE int fd = memfd_create("log", MFD_CLOEXEC);

    (void)state;
    redirect(fd);
    log_open("worker", 0, LOG_INFO, LOG_TEXT);
    log_batch(true);
    log_say(LOG_INFO, "one");
    log_say(LOG_INFO, "two");
    assert_string_equal(read_captured(fd), "");
    log_flush();
    assert_non_null(strstr(read_captured(fd), "\"one\"\n"));
    assert_non_null(strstr(read_captured(fd), "\"two\"\n"));
    log_say(LOG_WARN, "three");
    assert_non_null(strstr(read_captured(fd), "\"three\"\n"));
    for (int i = 0; i < 2000; i++)
        log_say(LOG_INFO, "a line that does not fit into the batch for ever");
    assert_true(lseek(fd, 0, SEEK_END) > 32 * 1024);
    log_batch(false);
    log_say(LOG_INFO, "four");
    assert_int_equal(log_dropped(), 0);
}

/* As when a new configuration comes in a turn of the loop, while threads of the pool log. */
static void another_level_and_format_change_nothing_else(void **state)
{
    AUTO_CLOSE int fd = memfd_create("log", MFD_CLOEXEC);
    AUTO_CLOSE int spare = -1;
    struct log_line line;

    (void)state;
    redirect(fd);
    log_open("worker", 0, LOG_INFO, LOG_TEXT);
    log_batch(true);
    log_begin(&line, LOG_INFO);
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    log_set(LOG_DEBUG, LOG_JSON);
    spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(spare > before); /* the log's descriptor was never free for another file */
    fd_close(&before);
    log_text(&line, "op", "pull_blob");
    log_end(&line, "begun as text");
    log_say(LOG_DEBUG, "in JSON");
    assert_string_equal(read_captured(fd), "");
    log_flush();
    assert_string_equal(read_captured(fd),
                        "2026-09-18T10:11:12.345Z info worker[0] op=pull_blob \"begun as text\"\n"
                        "{\"time\":\"2026-09-18T10:11:12.345Z\",\"level\":\"debug\",\"role\":"
                        "\"worker\",\"slot\":0,\"message\":\"in JSON\"}\n");
}

static void say_until_full(void)
{
    uint64_t before = log_dropped();

    for (int i = 0; i < 100000 && log_dropped() == before; i++)
        log_say(LOG_INFO, "line %d", i);
    assert_true(log_dropped() > before);
}

static void full_pipe_drops_lines_and_stays_blocking_for_others(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    redirect(ends[1]);
    log_open("worker", 1, LOG_INFO, LOG_TEXT);
    say_until_full();
    assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
    redirect(real_stderr);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

static void full_socket_drops_lines(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    redirect(ends[1]);
    log_open("worker", 1, LOG_INFO, LOG_TEXT);
    say_until_full();
    redirect(real_stderr);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_lines_look_as_documented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_lines_are_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut_but_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_that_are_off_cost_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(before_log_open_lines_go_to_stderr, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batched_lines_wait_for_the_flush_but_warnings_do_not,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_level_and_format_change_nothing_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(full_pipe_drops_lines_and_stays_blocking_for_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(full_socket_drops_lines, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
