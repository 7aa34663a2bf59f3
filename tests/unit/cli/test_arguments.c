/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"

#define ARGUMENTS_MAX 16

static void parse(const char *const *words, struct cli_arguments *out)
{
    static char copies[ARGUMENTS_MAX][64];
    char *argv[ARGUMENTS_MAX + 1] = {NULL};
    int argc = 0;

    for (; words[argc] && argc < ARGUMENTS_MAX; argc++) {
        size_t i = 0;

        for (; words[argc][i] != '\0' && i + 1 < sizeof(copies[0]); i++)
            copies[argc][i] = words[argc][i];
        copies[argc][i] = '\0';
        argv[argc] = copies[argc];
    }
    cli_parse(argc, argv, "0.0.0", out);
}

static void flags_become_settings(void **state)
{
    (void)state;
    const char *const words[] = {
        "entrepot",       "serve",        "--listen", "a:1",    "--data",    "/d", "--set",
        "log.level=warn", "--listen=b:2", "--config", "c.yaml", "--workers", "3",  NULL};
    struct cli_arguments arguments;
    parse(words, &arguments);
    assert_int_equal(arguments.command, CLI_SERVE);
    assert_string_equal(arguments.config_file, "c.yaml");
    assert_int_equal(arguments.setting_count, 4);
    assert_string_equal(arguments.settings[0], "storage.path=/d");
    assert_string_equal(arguments.settings[1], "log.level=warn");
    assert_string_equal(arguments.settings[2], "workers=3");
    assert_string_equal(arguments.settings[3], "listen=a:1,b:2");
    assert_null(arguments.settings[4]);
    cli_arguments_free(&arguments);
}

static void the_master_names_role_and_slot(void **state)
{
    (void)state;
    const char *const words[] = {"entrepot", "--role", "worker", "--slot", "7", NULL};
    struct cli_arguments arguments;
    parse(words, &arguments);
    assert_int_equal(arguments.command, CLI_CHILD);
    assert_int_equal(arguments.role, ROLE_WORKER);
    assert_int_equal(arguments.slot, 7);
}

/* A command line, and what is said about it. */
struct mistake {
    const char *words[5];
    const char *said;
};

static const struct mistake mistakes[] = {
    {{"entrepot", "serv"}, "unknown command serv, did you mean serve?"},
    {{"entrepot", "zzzzzz"}, "unknown command zzzzzz; entrepot --help lists them"},
    {{"entrepot", "serve", "entrepot.yaml"},
     "unexpected argument entrepot.yaml; a configuration file is given with --config FILE"},
    {{"entrepot", "check", "entrepot.yaml"}, "given with --config FILE"},
    {{"entrepot", "serve", "-f", "x"}, "unknown option -f, did you mean --config?"},
    {{"entrepot", "serve", "-V"}, "entrepot --version prints the version"},
    {{"entrepot", "serve", "--version"}, "entrepot --version prints the version"},
    {{"entrepot", "serve", "--prot", "5000"}, "unknown option --prot, did you mean --listen?"},
    {{"entrepot", "serve", "--port=5000"}, "did you mean --listen?"},
    {{"entrepot", "serve", "--lisen", "x"}, "did you mean --listen?"},
    {{"entrepot", "serve", "--root", "/x"}, "did you mean --data?"},
    {{"entrepot", "serve", "--zzzzzz"}, "unknown option --zzzzzz; entrepot help serve lists them"},
    {{"entrepot", "serve", "--listen"}, "--listen needs a value"},
    {{"entrepot", "help", "nothing"}, "there is no help about nothing"},
};

/* What cli_parse prints on standard error. */
static void parse_captured(const char *const *words, struct cli_arguments *out, char *said,
                           size_t size)
{
    int fd = memfd_create("said", MFD_CLOEXEC);
    int before = dup(STDERR_FILENO);

    assert_true(fd >= 0 && before >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    parse(words, out);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    ssize_t length = pread(fd, said, size - 1, 0);
    assert_true(length >= 0);
    said[length] = '\0';
    (void)close(fd);
    (void)close(before);
}

static void mistakes_say_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct cli_arguments arguments;
        char said[4096];

        parse_captured(mistakes[i].words, &arguments, said, sizeof(said));
        if (!strstr(said, mistakes[i].said))
            fail_msg("said: %s\nnot: %s", said, mistakes[i].said);
        assert_int_equal(arguments.status, CLI_STATUS_USAGE);
        cli_arguments_free(&arguments);
    }
}

static void mistakes_end_with_status_2(void **state)
{
    (void)state;
    static const char *const lines[][5] = {
        {"entrepot"},
        {"entrepot", "serv"},
        {"entrepot", "serve", "--lisen", "x"},
        {"entrepot", "serve", "--listen"},
        {"entrepot", "serve", "more"},
        {"entrepot", "help", "nothing"},
        {"entrepot", "--role", "master"},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct cli_arguments arguments;

        parse(lines[i], &arguments);
        assert_int_equal(arguments.command, CLI_DONE);
        assert_int_equal(arguments.status, CLI_STATUS_USAGE);
        cli_arguments_free(&arguments);
    }
}

/* A value that was cut would mean something else. */
static void what_is_too_long_or_too_much_is_refused(void **state)
{
    (void)state;
    enum {
        SETS = 257
    };
    static char value[8300];
    static char word[] = "entrepot";
    static char serve[] = "serve";
    static char set[] = "--set";
    static char listen[] = "--listen";
    static char same[] = "workers=3";
    char *options[] = {set, listen};
    struct cli_arguments arguments;
    for (size_t i = 0; i < sizeof(value) - 1; i++)
        value[i] = 'x';
    for (size_t i = 0; i < 2; i++) {
        char *argv[] = {word, serve, options[i], value, NULL};

        cli_parse(4, argv, "0.0.0", &arguments);
        assert_int_equal(arguments.command, CLI_DONE);
        assert_int_equal(arguments.status, CLI_STATUS_USAGE);
        cli_arguments_free(&arguments);
    }
    char *many[2 + 2 * SETS + 1] = {word, serve};
    for (size_t i = 0; i < SETS; i++) {
        many[2 + 2 * i] = set;
        many[3 + 2 * i] = same;
    }
    cli_parse(2 + 2 * SETS - 2, many, "0.0.0", &arguments);
    assert_int_equal(arguments.command, CLI_SERVE);
    cli_arguments_free(&arguments);
    cli_parse(2 + 2 * SETS, many, "0.0.0", &arguments);
    assert_int_equal(arguments.command, CLI_DONE);
    assert_int_equal(arguments.status, CLI_STATUS_USAGE);
    cli_arguments_free(&arguments);
}

static void help_and_version_end_with_status_0(void **state)
{
    (void)state;
    static const char *const lines[][4] = {
        {"entrepot", "--version"},
        {"entrepot", "--help"},
        {"entrepot", "serve", "--help"},
        {"entrepot", "help", "check"},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct cli_arguments arguments;

        parse(lines[i], &arguments);
        assert_int_equal(arguments.command, CLI_DONE);
        assert_int_equal(arguments.status, 0);
        cli_arguments_free(&arguments);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_become_settings),
        cmocka_unit_test(the_master_names_role_and_slot),
        cmocka_unit_test(mistakes_say_what_to_do),
        cmocka_unit_test(mistakes_end_with_status_2),
        cmocka_unit_test(what_is_too_long_or_too_much_is_refused),
        cmocka_unit_test(help_and_version_end_with_status_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
