/* SPDX-License-Identifier: Apache-2.0 */
/* Options come from the table of commands, and may stand between the operands. */
#include "parse_call.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "call.h"
#include "cli/cli.h"
#include "commands.h"
#include "config/config.h"
#include "help.h"

#define LONG_BASE 256 /* what getopt_long returns for the option of bit n is this and n */
#define VERSION   (LONG_BASE + COMMAND_OPTIONS)

static void add_option(const struct option_row *row, unsigned bit, struct option *long_options,
                       char *letters)
{
    size_t count = 0;
    size_t length = strlen(letters);

    while (long_options[count].name)
        count++;
    long_options[count] = (struct option){row->name, row->value ? required_argument : no_argument,
                                          NULL, LONG_BASE + (int)bit};
    if (!row->letter)
        return;
    letters[length] = row->letter;
    letters[length + 1] = row->value ? ':' : '\0';
}

static const struct option_row *find_row(const struct command *command, int option)
{
    for (const struct option_row *row = option_rows(); row->name; row++) {
        if ((command->options & row->bit) != 0 &&
            ((option >= LONG_BASE && row->bit == 1u << (option - LONG_BASE)) ||
             (option < LONG_BASE && row->letter == option)))
            return row;
    }
    return NULL;
}

static void refuse_call_option(const struct command *command, const char *given)
{
    struct slice name = slice_of(given);
    struct slice rest;
    const char *nearest = NULL;
    unsigned distance = 3;

    while (name.length > 0 && name.data[0] == '-')
        name = slice_skip(name, 1);
    rest = name;
    (void)slice_split(&rest, '=', &name);
    for (const struct option_row *row = option_rows(); row->name; row++) {
        unsigned here = text_distance(name, slice_of(row->name));

        if ((command->options & row->bit) != 0 && here < distance) {
            nearest = row->name;
            distance = here;
        }
    }
    if (nearest) {
        (void)fprintf(stderr, "entrepot %s: unknown option %s, did you mean --%s?\n", command->name,
                      given, nearest);
    } else {
        (void)fprintf(stderr, "entrepot %s: unknown option %s; entrepot help %s lists them\n",
                      command->name, given, command->name);
    }
}

/* False: the value is wrong, and that was printed. */
static bool take_value(struct call *call, const struct option_row *row, char *value,
                       struct cli_arguments *out)
{
    call->flags |= row->bit;
    if (row->value && value[0] == '\0') {
        (void)fprintf(stderr, "entrepot %s: --%s needs a value\n", call->command->name, row->name);
        return false;
    }
    if (row->bit == COMMAND_CONFIG) {
        out->config_file = value;
    } else if (row->bit == COMMAND_SOCKET) {
        call->socket = value;
    } else if (row->bit == COMMAND_BY) {
        call->by = value;
    } else if (row->bit == COMMAND_SET) {
        call->set = value;
    } else if (row->bit == COMMAND_FROM) {
        call->from = value;
    } else if (row->bit == COMMAND_DATA) {
        call->data = value;
    } else if (row->bit == COMMAND_OUTPUT) {
        call->is_json = strcmp(value, "json") == 0;
        if (!call->is_json && strcmp(value, "table") != 0) {
            (void)fprintf(stderr, "entrepot %s: --output is table or json, not %s\n",
                          call->command->name, value);
            return false;
        }
    }
    return true;
}

static bool has_right_operands(const struct call *call)
{
    const struct command *command = call->command;

    if (call->operand_count < command->least) {
        (void)fprintf(stderr, "entrepot %s: %s is missing; entrepot help %s explains it\n",
                      command->name, command->arguments, command->name);
        return false;
    }
    if (call->operand_count > command->most) {
        (void)fprintf(stderr, "entrepot %s: unexpected argument %s; entrepot help %s explains it\n",
                      command->name, call->operands[command->most], command->name);
        return false;
    }
    return true;
}

/* 1: go on; 0: it is over, with out->status. */
static bool take_one(struct call *call, int option, const char *given, const char *version,
                     struct cli_arguments *out)
{
    const struct option_row *row = find_row(call->command, option);

    out->status = CLI_STATUS_USAGE;
    if (option == VERSION || option == 'V') {
        (void)printf("entrepot %s\n", version);
        out->status = 0;
        return false;
    }
    if (option == ':') {
        (void)fprintf(stderr, "entrepot %s: %s needs a value\n", call->command->name, given);
        return false;
    }
    if (!row) {
        refuse_call_option(call->command, given);
        return false;
    }
    if (row->bit == COMMAND_HELP) {
        help_print_command(call->command, stdout);
        out->status = 0;
        return false;
    }
    return take_value(call, row, optarg, out);
}

struct call *parse_call(int argc, char **argv, const struct command *command, const char *version,
                        struct cli_arguments *out)
{
    struct option long_options[COMMAND_OPTIONS + 2] = {{NULL, 0, NULL, 0}};
    char letters[2 * COMMAND_OPTIONS + 4] = ":V";
    AUTO_FREE struct call *call = NEW(struct call);

    call->command = command;
    for (const struct option_row *row = option_rows(); row->name; row++) {
        if ((command->options & row->bit) != 0)
            add_option(row, (unsigned)__builtin_ctz(row->bit), long_options, letters);
    }
    static const struct option_row version_row = {0, "version", 0, NULL, ""};
    add_option(&version_row, COMMAND_OPTIONS, long_options, letters);
    opterr = 0;
    optind = 2;
    for (;;) {
        int at = optind;
        /* There is one thread, and optind is read nowhere else. */
        int option = getopt_long(argc, argv, letters, long_options,
                                 NULL); /* NOLINT(concurrency-mt-unsafe) */

        if (option == -1)
            break;
        if (!take_one(call, option, argv[at], version, out))
            return NULL;
    }
    call->operands = argv + optind;
    call->operand_count = (size_t)(argc - optind);
    out->status = CLI_STATUS_USAGE;
    if (!has_right_operands(call))
        return NULL;
    out->status = 0;
    return TAKE(call);
}

/* ---- doing it ---- */

bool cli_needs_config(const struct cli_arguments *arguments)
{
    return !arguments->call->socket;
}

int cli_call(struct cli_arguments *arguments, const struct config *config)
{
    struct call *call = arguments->call;
    struct error err;

    if (!call->socket && config_control_path(config, call->path, &err) != 0) {
        (void)fprintf(stderr, "entrepot: %s\n", err.text);
        return CLI_STATUS_FAILED;
    }
    if (call->socket) {
        if (strlen(call->socket) >= sizeof(call->path)) {
            (void)fprintf(stderr,
                          "entrepot: --socket: the path of a socket has at most %zu bytes\n",
                          sizeof(call->path) - 1);
            return CLI_STATUS_USAGE;
        }
        (void)snprintf(call->path, sizeof(call->path), "%s", call->socket);
    }
    int status = call->command->run(call);
    if (fflush(stdout) != 0) {
        (void)fprintf(stderr, "entrepot: the output cannot be written\n");
        return CLI_STATUS_FAILED;
    }
    return status;
}
