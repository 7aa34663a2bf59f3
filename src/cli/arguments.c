/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses argv into struct cli_arguments. Flags for settings become "key=value", as if they were
 * given with --set, so that only the configuration knows what a setting may be.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/text.h"
#include "call.h"
#include "cli/cli.h"
#include "commands.h"
#include "config/config.h"
#include "help.h"
#include "parse_call.h"

#define SETTINGS_MAX 256
#define VALUE_MAX    8192

enum option_value {
    OPTION_CONFIG = 1,
    OPTION_SET,
    OPTION_LISTEN,
    OPTION_DATA,
    OPTION_ADMIN,
    OPTION_USER,
    OPTION_WORKERS,
    OPTION_HELP,
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"set", required_argument, NULL, OPTION_SET},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"data", required_argument, NULL, OPTION_DATA},
    {"admin", required_argument, NULL, OPTION_ADMIN},
    {"user", required_argument, NULL, OPTION_USER},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* The setting that an option stands for, or NULL. */
static const char *const option_keys[] = {
    [OPTION_DATA] = "storage.path", [OPTION_ADMIN] = "admin", [OPTION_USER] = "user",
    [OPTION_WORKERS] = "workers",   [OPTION_HELP] = NULL,
};

/* False: it is one too many, or too long, and that was printed. */
static bool add_setting(struct cli_arguments *out, const char *key, const char *value)
{
    AUTO_BUF struct buf text;

    buf_init(&text, VALUE_MAX);
    if (key)
        buf_printf(&text, "%s=", key);
    buf_append_text(&text, value);
    if (text.is_over || out->setting_count >= SETTINGS_MAX) {
        (void)fprintf(stderr,
                      "entrepot: at most %d settings of at most %d bytes may be given as options; "
                      "put them into the configuration file\n",
                      SETTINGS_MAX, VALUE_MAX);
        return false;
    }
    out->settings = mem_realloc(out->settings, (out->setting_count + 2) * sizeof(out->settings[0]));
    out->settings[out->setting_count++] = mem_strdup(buf_text(&text));
    out->settings[out->setting_count] = NULL;
    return true;
}

static void finish(struct cli_arguments *out, int status)
{
    out->command = CLI_DONE;
    out->status = status;
}

/* What other programs call our options. */
static const struct option_alias {
    const char *name;
    const char *means;
} aliases[] = {
    {"f", "config"},      {"file", "config"}, {"config-file", "config"},
    {"p", "listen"},      {"l", "listen"},    {"port", "listen"},
    {"bind", "listen"},   {"addr", "listen"}, {"address", "listen"},
    {"host", "listen"},   {"d", "data"},      {"dir", "data"},
    {"data-dir", "data"}, {"root", "data"},   {"storage", "data"},
    {"u", "user"},        {"w", "workers"},   {"s", "set"},
    {"o", "set"},
};

/* Wishes that have no option of their own, and what is written instead. */
static const struct option_wish {
    const char *name;
    const char *instead;
} wishes[] = {
    {"v", "--set log.level=debug"},        {"verbose", "--set log.level=debug"},
    {"debug", "--set log.level=debug"},    {"q", "--set log.level=warn"},
    {"quiet", "--set log.level=warn"},     {"loglevel", "--set log.level=debug"},
    {"mirror", "--set upstreams=NAME"},    {"proxy", "--set upstreams=NAME"},
    {"remote", "--set upstreams=NAME"},    {"upstream", "--set upstreams=NAME"},
    {"upstreams", "--set upstreams=NAME"},
};

static void keep_nearer(struct slice name, const char *candidate, const char *means,
                        const char **nearest, unsigned *distance)
{
    unsigned here = text_distance(name, slice_of(candidate));

    if (here < *distance) {
        *nearest = means;
        *distance = here;
    }
}

/* The option that was meant, or NULL. Words of few letters must be exact. */
static const char *suggest_option(struct slice name)
{
    const char *nearest = NULL;
    unsigned distance = name.length < 3 ? 1 : 3;

    for (const struct option *option = options; option->name; option++)
        keep_nearer(name, option->name, option->name, &nearest, &distance);
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        keep_nearer(name, aliases[i].name, aliases[i].means, &nearest, &distance);
    return nearest;
}

static bool is_version_option(struct slice name)
{
    return slice_is(name, "V") || slice_is(name, "version");
}

/* Prints what is written instead. False: it is no such wish. */
static bool refuse_wish(const char *given, struct slice name)
{
    const char *setting = config_setting_like(name);

    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        if (slice_is(name, wishes[i].name)) {
            (void)fprintf(stderr, "entrepot: unknown option %s; write %s\n", given,
                          wishes[i].instead);
            return true;
        }
    }
    if (setting) {
        (void)fprintf(stderr, "entrepot: unknown option %s; write --set %s=VALUE\n", given,
                      setting);
    }
    return setting;
}

/* Prints that there is no such option, and the one that was probably meant. */
static void refuse_option(const char *given)
{
    struct slice name = slice_of(given);

    while (name.length > 0 && name.data[0] == '-')
        name = slice_skip(name, 1);
    struct slice rest = name;
    (void)slice_split(&rest, '=', &name);
    if (is_version_option(name)) {
        (void)fprintf(
            stderr, "entrepot: unknown option %s; entrepot --version prints the version\n", given);
        return;
    }
    if (refuse_wish(given, name))
        return;
    const char *nearest = suggest_option(name);
    (void)fprintf(stderr, "entrepot: unknown option %s%s%s%s\n", given,
                  nearest ? ", did you mean --" : "", nearest ? nearest : "",
                  nearest ? "?" : "; entrepot help serve lists them");
}

/* Takes one option with its value. False: it was refused, and that was printed. */
static bool take_option(int option, const char *given, struct buf *listens,
                        struct cli_arguments *out)
{
    if (option == '?') {
        refuse_option(given);
        return false;
    }
    if (option == ':' || optarg[0] == '\0') { /* also --data "$NOT_SET" of a script */
        (void)fprintf(stderr, "entrepot: %s needs a value; entrepot help serve lists the options\n",
                      given);
        return false;
    }
    if (option == OPTION_CONFIG || option == 'c') {
        out->config_file = optarg;
        return true;
    }
    if (option == OPTION_LISTEN) {
        buf_printf(listens, "%s%s", buf_bytes(listens).length > 0 ? "," : "", optarg);
        return true;
    }
    return add_setting(out, option == OPTION_SET ? NULL : option_keys[option], optarg);
}

/* Parses the options of serve and check. Afterwards the command is CLI_DONE if a mistake or help
 * was printed. */
static void parse_options(int argc, char **argv, const char *command, struct cli_arguments *out)
{
    AUTO_BUF struct buf listens;

    /* One byte more, so that add_setting sees what is too long. */
    buf_init(&listens, VALUE_MAX + 1);
    opterr = 0;
    optind = 2;
    for (;;) {
        int at = optind;
        /* There is one thread, and optind is read nowhere else. */
        int option =
            getopt_long(argc, argv, "+:hc:", options, NULL); /* NOLINT(concurrency-mt-unsafe) */

        if (option == -1)
            break;
        if (option == OPTION_HELP || option == 'h') {
            help_print_command(command_find(command), stdout);
            finish(out, 0);
            return;
        }
        if (!take_option(option, argv[at], &listens, out)) {
            finish(out, CLI_STATUS_USAGE);
            return;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr,
                      "entrepot %s: unexpected argument %s; a configuration file is given with "
                      "--config FILE\n",
                      command, argv[optind]);
        finish(out, CLI_STATUS_USAGE);
    } else if (buf_bytes(&listens).length > 0 && !add_setting(out, "listen", buf_text(&listens))) {
        finish(out, CLI_STATUS_USAGE);
    }
}

/* Parses "entrepot --role worker --slot 3", which only the master writes. */
static bool parse_child(int argc, char **argv, struct cli_arguments *out)
{
    uint64_t slot = 0;
    struct error err;

    if (argc != 5 || strcmp(argv[1], "--role") != 0 || strcmp(argv[3], "--slot") != 0 ||
        text_parse_u64(slice_of(argv[4]), &slot, &err) != 0 || slot > 4096)
        return false;
    for (unsigned role = ROLE_WORKER; role < ROLES; role++) {
        if (strcmp(process_role_name((enum process_role)role), argv[2]) == 0) {
            out->command = CLI_CHILD;
            out->role = (enum process_role)role;
            out->slot = (unsigned)slot;
            return true;
        }
    }
    return false;
}

static void parse_help(int argc, char **argv, struct cli_arguments *out)
{
    finish(out, 0);
    if (argc < 3) {
        help_print(stdout);
    } else if (argc > 4 || !help_print_about(argv[2], argc > 3 ? argv[3] : NULL)) {
        (void)fprintf(stderr,
                      "entrepot: there is no help about %s; entrepot help lists the commands\n",
                      argv[2]);
        out->status = CLI_STATUS_USAGE;
    }
}

/* What came instead of a command. */
static void refuse_command(const char *name, struct cli_arguments *out)
{
    const char *nearest = command_suggest(name);

    finish(out, CLI_STATUS_USAGE);
    if (name[0] == '-') {
        (void)fprintf(stderr,
                      "entrepot: the command must come before %s, like entrepot serve %s; entrepot "
                      "--help lists the commands\n",
                      name, name);
        return;
    }
    (void)fprintf(stderr, "entrepot: unknown command %s%s%s%s\n", name,
                  nearest ? ", did you mean " : "", nearest ? nearest : "",
                  nearest ? "?" : "; entrepot --help lists them");
}

void cli_parse(int argc, char **argv, const char *version, struct cli_arguments *out)
{
    *out = (struct cli_arguments){.command = CLI_DONE};
    const char *command = argc > 1 ? argv[1] : NULL;
    if (!command) {
        help_print(stderr);
        out->status = CLI_STATUS_USAGE;
    } else if (strcmp(command, "--version") == 0 || strcmp(command, "version") == 0 ||
               strcmp(command, "-V") == 0 || strcmp(command, "-v") == 0) {
        (void)printf("entrepot %s\n", version);
    } else if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        help_print(stdout);
    } else if (strcmp(command, "help") == 0) {
        parse_help(argc, argv, out);
    } else if (strcmp(command, "serve") == 0 || strcmp(command, "check") == 0) {
        out->command = command[0] == 's' ? CLI_SERVE : CLI_CHECK;
        parse_options(argc, argv, command, out);
    } else if (parse_child(argc, argv, out)) {
        return;
    } else if (command_find(command)) {
        out->call = parse_call(argc, argv, command_find(command), version, out);
        out->command = out->call ? CLI_CALL : CLI_DONE;
    } else {
        refuse_command(command, out);
    }
}

void cli_arguments_free(struct cli_arguments *arguments)
{
    for (size_t i = 0; i < arguments->setting_count; i++)
        mem_free(arguments->settings[i]);
    mem_free(arguments->settings);
    mem_free(arguments->call);
    *arguments = (struct cli_arguments){0};
}
