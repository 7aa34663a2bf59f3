/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a configuration names, when they change: what is taken, and what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"

static struct {
    char folder[40];
    char password[64];
    struct config *config;
    struct buf problems;
    struct buf warnings;
    bool is_reload;
    const char *at_end; /* written into the file when its end was read, before anything else */
} scene;

static struct error err;

static void write_file(const char *path, struct slice text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text.data ? text.data : "", 1, text.length, file), text.length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* In place of the C library's. */
ssize_t read(int fd, void *out, size_t size)
{
    ssize_t got = syscall(SYS_read, fd, out, size);
    const char *text = scene.at_end;

    if (got == 0 && text) {
        scene.at_end = NULL;
        write_file(scene.password, slice_of(text));
    }
    return got;
}

static int load(void)
{
    char yaml[400];
    char path[64];
    int fd = -1;

    (void)snprintf(yaml, sizeof(yaml),
                   "upstreams: { docker.io: { username: me, password_file: %s, expose: true } }\n",
                   scene.password);
    assert_int_equal(fd_memory_file("config", slice_of(yaml), &fd, &err), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct config_sources sources = {.file = path, .is_reload = scene.is_reload};
    config_unref(&scene.config);
    buf_clear(&scene.problems);
    buf_clear(&scene.warnings);
    int rc = config_load(&sources, &scene.config, &scene.problems, &scene.warnings, &err);
    fd_close(&fd);
    return rc;
}

static int set_up(void **state)
{
    (void)state;
    scene.is_reload = false;
    scene.at_end = NULL;
    (void)snprintf(scene.folder, sizeof(scene.folder), "/tmp/entrepot-files-XXXXXX");
    assert_non_null(mkdtemp(scene.folder));
    (void)snprintf(scene.password, sizeof(scene.password), "%s/password", scene.folder);
    buf_init(&scene.problems, 65536);
    buf_init(&scene.warnings, 65536);
    write_file(scene.password, SLICE_LITERAL("first\n"));
    return load();
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(scene.password);
    assert_int_equal(rmdir(scene.folder), 0);
    config_unref(&scene.config);
    buf_cleanup(&scene.problems);
    buf_cleanup(&scene.warnings);
    return 0;
}

/* Reads again and puts the copy in place of what there was. */
static bool read_again(void)
{
    struct config *next = NULL;
    bool has_changed = false;

    buf_clear(&scene.warnings);
    assert_int_equal(config_read_files(scene.config, &next, &has_changed, &scene.warnings, &err),
                     0);
    config_unref(&scene.config);
    scene.config = next;
    return has_changed;
}

static const char *password(void)
{
    return scene.config->upstreams[0].password;
}

static void a_written_file_is_seen_and_read(void **state)
{
    (void)state;
    assert_string_equal(password(), "first");
    assert_false(config_files_have_changed(scene.config));
    write_file(scene.password, SLICE_LITERAL("a longer one\r\n\n"));
    assert_true(config_files_have_changed(scene.config));
    assert_true(read_again());
    assert_string_equal(password(), "a longer one");
    assert_string_equal(buf_text(&scene.warnings), "");
    assert_false(config_files_have_changed(scene.config));
    assert_false(read_again());
}

static void what_is_no_password_changes_nothing(void **state)
{
    static char longest[16 * 1024 + 2];
    const struct slice texts[] = {{NULL, 0},
                                  SLICE_LITERAL("\n\r\n"),
                                  SLICE_LITERAL("a\0b"),
                                  SLICE_LITERAL("a\x1b"),
                                  SLICE_LITERAL("\xff"),
                                  {longest, 16 * 1024 + 1}};

    (void)state;
    memset(longest, 'x', sizeof(longest));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file(scene.password, texts[i]);
        assert_true(config_files_have_changed(scene.config));
        assert_false(read_again());
        assert_string_equal(password(), "first");
        assert_non_null(strstr(buf_text(&scene.warnings), "stays in use"));
        assert_false(config_files_have_changed(scene.config));
        assert_int_equal(load(), -ERR_INVALID); /* the first time it is a mistake */
        write_file(scene.password, SLICE_LITERAL("first\n"));
        assert_int_equal(load(), 0);
    }
    write_file(scene.password, slice_from(longest, 16 * 1024));
    assert_true(read_again());
    assert_int_equal(strlen(password()), 16 * 1024);
}

static void a_file_that_is_gone_is_told_once_and_found_again(void **state)
{
    (void)state;
    assert_int_equal(unlink(scene.password), 0);
    assert_true(config_files_have_changed(scene.config));
    assert_false(read_again());
    assert_non_null(strstr(buf_text(&scene.warnings), "No such file"));
    assert_false(config_files_have_changed(scene.config));
    assert_false(read_again());
    assert_string_equal(buf_text(&scene.warnings), "");
    assert_string_equal(password(), "first");
    write_file(scene.password, SLICE_LITERAL("second"));
    assert_true(config_files_have_changed(scene.config));
    assert_true(read_again());
    assert_string_equal(password(), "second");
}

/* Opening it would wait for a writer. */
static void a_pipe_in_its_place_is_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(unlink(scene.password), 0);
    assert_int_equal(mkfifo(scene.password, 0600), 0);
    assert_false(read_again());
    assert_non_null(strstr(buf_text(&scene.warnings), "is a pipe"));
    assert_string_equal(password(), "first");
}

/* The master waits for nothing when it reads all of it again. */
static void a_pipe_is_refused_at_a_reload(void **state)
{
    (void)state;
    assert_int_equal(unlink(scene.password), 0);
    assert_int_equal(mkfifo(scene.password, 0600), 0);
    scene.is_reload = true;
    assert_int_equal(load(), -ERR_INVALID);
    assert_non_null(strstr(buf_text(&scene.problems), "password_file: "));
    assert_non_null(strstr(buf_text(&scene.problems), "is a pipe, which can only be read when"));
    buf_clear(&scene.problems);
    struct config_sources sources = {.file = scene.password, .is_reload = true};
    assert_int_equal(config_load(&sources, &scene.config, &scene.problems, &scene.warnings, &err),
                     -ERR_INVALID);
    assert_non_null(strstr(buf_text(&scene.problems), "the configuration file is a pipe"));
}

/* Somebody writes the file just when it was found to be of no use. */
static void what_is_written_while_it_is_read_is_read_later(void **state)
{
    (void)state;
    write_file(scene.password, SLICE_LITERAL(""));
    scene.at_end = "second\n";
    assert_false(read_again());
    assert_null(scene.at_end);
    assert_string_equal(password(), "first");
    assert_true(config_files_have_changed(scene.config));
    assert_true(read_again());
    assert_string_equal(password(), "second");
}

static void several_lines_are_one_password_also_for_the_fetcher(void **state)
{
    static const char key[] = "{\n\t\"private_key\": \"-----BEGIN\\nX\\\\\",\r\n  \"a\": 1\n}";
    struct config *parsed = NULL;

    (void)state;
    AUTO_BUF struct buf printed;
    buf_init(&printed, CONFIG_TEXT_MAX);
    write_file(scene.password, slice_of(key));
    assert_true(read_again());
    assert_string_equal(password(), key);
    config_print(scene.config, true, &printed);
    assert_int_equal(config_parse(buf_bytes(&printed), &parsed, &err), 0);
    assert_string_equal(parsed->upstreams[0].password, key);
    config_unref(&parsed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_written_file_is_seen_and_read),
        TEST(what_is_no_password_changes_nothing),
        TEST(a_file_that_is_gone_is_told_once_and_found_again),
        TEST(a_pipe_in_its_place_is_not_waited_for),
        TEST(a_pipe_is_refused_at_a_reload),
        TEST(what_is_written_while_it_is_read_is_read_later),
        TEST(several_lines_are_one_password_also_for_the_fetcher),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
