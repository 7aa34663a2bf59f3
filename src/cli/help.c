/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of `entrepot help`. */
#include "help.h"

#include <string.h>

#include "base/buf.h"
#include "commands.h"
#include "config/config.h"

#define MANUAL_MAX   (1u << 20)
#define OPTION_WIDTH 20

void help_print(FILE *out)
{
    (void)fprintf(out,
                  "usage: entrepot COMMAND [options]\n\n"
                  "A container image registry that stores what is pushed, and fetches missing\n"
                  "images from Docker Hub or other registries once.\n\ncommands:\n");
    for (const struct command *command = command_rows(); command->name; command++)
        (void)fprintf(out, "  %-8s %s\n", command->name, command->summary);
    (void)fprintf(out, "\n  --version, --help\n\nentrepot help COMMAND explains a command.\n");
}

static void print_option(const struct option_row *option, FILE *out)
{
    char left[64];

    (void)snprintf(left, sizeof(left), "%c%c%s--%s%s%s", option->letter ? '-' : ' ',
                   option->letter ? option->letter : ' ', option->letter ? ", " : "  ",
                   option->name, option->value ? " " : "", option->value ? option->value : "");
    (void)fprintf(out, "  %-*s %s\n", OPTION_WIDTH, left, option->help);
}

void help_print_command(const struct command *command, FILE *out)
{
    (void)fprintf(out, "usage: entrepot %s%s%s%s\n\n%s", command->name,
                  command->options != 0 ? " [options]" : "", command->arguments[0] ? " " : "",
                  command->arguments, command->text);
    if (command->options == 0)
        return;
    (void)fputc('\n', out);
    for (const struct option_row *option = option_rows(); option->name; option++) {
        if ((command->options & option->bit) != 0)
            print_option(option, out);
    }
    (void)fprintf(out, "\nExit status: 0 done, 1 failed, 2 usage.\n");
}

static bool print_manual(const char *name)
{
    const struct command *command = name ? command_find(name) : NULL;

    if (name && !command)
        return false;
    manual_print(command, stdout);
    return true;
}

bool help_print_about(const char *name, const char *rest)
{
    const struct command *command = command_find(name);
    bool is_settings = strcmp(name, "settings") == 0;

    if (strcmp(name, "completion") == 0)
        return rest && completion_print(rest, stdout);
    if (strcmp(name, "man") == 0)
        return print_manual(rest);
    if (rest)
        return false;
    if (command) {
        help_print_command(command, stdout);
        return true;
    }
    if (!is_settings && strcmp(name, "example") != 0)
        return false;
    AUTO_BUF struct buf text;
    buf_init(&text, MANUAL_MAX);
    if (is_settings)
        config_print_manual(&text);
    else
        config_print_example(&text);
    (void)fputs(buf_text(&text), stdout);
    return true;
}
