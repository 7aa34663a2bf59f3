/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of `entrepot help`. */
#include "help.h"

#include <string.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/text.h"
#include "config/config.h"

#define MANUAL_MAX (1u << 20)

#define SOURCES                                                                                    \
    "  --config FILE     read this file instead of /etc/entrepot/entrepot.yaml\n"                  \
    "  --listen ADDRESS  where clients connect: 0.0.0.0:32000, [::]:32000, unix:/path;\n"          \
    "                    may be given several times (default localhost:32000)\n"                   \
    "  --admin ADDRESS   where /healthz, /readyz and /metrics are, or none\n"                      \
    "                    (default 127.0.0.1:32001)\n"                                              \
    "  --data DIR        the folder that holds everything (default /var/lib/entrepot, or\n"        \
    "                    ./data when not started as root)\n"                                       \
    "  --user NAME       the user to run as when started as root (default entrepot)\n"             \
    "  --workers N       the number of processes that serve clients (default: one per CPU)\n"      \
    "  --set KEY=VALUE   any setting; entrepot help settings lists them\n"

static const struct command commands[] = {
    {"serve", "run the registry",
     "usage: entrepot serve [options]\n\n"
     "Runs until SIGTERM, SIGQUIT or Ctrl-C, then finishes the running requests; a\n"
     "second signal ends it at once. SIGHUP reads the configuration again. Without a\n"
     "configuration file it listens on localhost:32000 and fetches missing\n"
     "images from Docker Hub.\n\n" SOURCES},
    {"check", "test the configuration",
     "usage: entrepot check [options of serve]\n\n"
     "Reads the configuration as serve would and prints every problem with file, line\n"
     "and column. Exit status: 0 ok, 1 wrong, 2 usage.\n\n" SOURCES},
    {"help", "explain a command or the settings",
     "usage: entrepot help [COMMAND | settings | example]\n\n"
     "settings prints the manual page of all settings; example prints a configuration\n"
     "file with every setting as a comment.\n"},
    {NULL, NULL, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

/* What other programs call our commands. */
static const struct command_alias {
    const char *name;
    const char *means;
} aliases[] = {
    {"start", "serve"},  {"run", "serve"},        {"server", "serve"},
    {"daemon", "serve"}, {"test", "check"},       {"validate", "check"},
    {"verify", "check"}, {"configtest", "check"}, {"usage", "help"},
};

const char *command_suggest(const char *name)
{
    const char *nearest = NULL;
    unsigned distance = 3;

    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(name, aliases[i].name) == 0)
            return aliases[i].means;
    }
    for (const struct command *command = commands; command->name; command++) {
        unsigned here = text_distance(slice_of(name), slice_of(command->name));

        if (here < distance) {
            nearest = command->name;
            distance = here;
        }
    }
    return nearest;
}

void help_print(FILE *out)
{
    (void)fprintf(out,
                  "usage: entrepot COMMAND [options]\n\n"
                  "A container image registry that stores what is pushed, and fetches missing\n"
                  "images from Docker Hub or other registries once.\n\ncommands:\n");
    for (const struct command *command = commands; command->name; command++)
        (void)fprintf(out, "  %-8s %s\n", command->name, command->summary);
    (void)fprintf(out, "\n  --version, --help\n\nentrepot help COMMAND explains a command.\n");
}

bool help_print_about(const char *name)
{
    const struct command *command = command_find(name);
    bool is_settings = strcmp(name, "settings") == 0;

    if (command) {
        (void)fputs(command->text, stdout);
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
