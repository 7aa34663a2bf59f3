/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
        cmocka_unit_test(mistakes_end_with_status_2),
        cmocka_unit_test(what_is_too_long_or_too_much_is_refused),
        cmocka_unit_test(help_and_version_end_with_status_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
