/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of commands.h, and what other programs call such commands. */
#include "commands.h"

#include <string.h>

#include "base/slice.h"
#include "base/text.h"
#include "client.h"

#define SOURCES                                                                                    \
    "  -c, --config FILE  read this file instead of /etc/entrepot/entrepot.yaml\n"                 \
    "  --listen ADDRESS  where clients connect: 0.0.0.0:32000, [::]:32000, unix:/path;\n"          \
    "                    may be given several times (default localhost:32000)\n"                   \
    "  --admin ADDRESS   where /healthz, /readyz and /metrics are, or none\n"                      \
    "                    (default 127.0.0.1:32001)\n"                                              \
    "  --data DIR        the folder that holds everything (default /var/lib/entrepot, or\n"        \
    "                    ./data when not started as root)\n"                                       \
    "  --user NAME       the user to run as when started as root (default entrepot)\n"             \
    "  --workers N       the number of processes that serve clients (default: one per CPU)\n"      \
    "  --set KEY=VALUE   any setting; entrepot help settings lists them\n"

static const struct option_row options[] = {
    {COMMAND_REPOSITORY, "repository", 0, NULL, "all images of the repositories that are named"},
    {COMMAND_UNTAGGED, "untagged", 0, NULL, "those of their images that have no tag"},
    {COMMAND_RELEASE, "release", 0, NULL, "give the names of empty repositories back"},
    {COMMAND_KEEP_CHILDREN, "keep-children", 0, NULL, "leave the images of an index"},
    {COMMAND_DRY_RUN, "dry-run", 0, NULL, "only say what would be done"},
    {COMMAND_NOW, "now", 0, NULL, "free the space at once, not after twice storage.grace"},
    {COMMAND_BY, "by", 0, "WHAT", "upstream (default), repository, or next: what goes first"},
    {COMMAND_SET, "set", 0, "NAME", "the set of pins (default: default)"},
    {COMMAND_FROM, "from", 0, "FILE", "read images from a file, one a line; - is standard input"},
    {COMMAND_DATA, "data", 0, "FILE", "send this file as the body; - is standard input"},
    {COMMAND_CONFIG, "config", 'c', "FILE", "the server's configuration, which names its socket"},
    {COMMAND_SOCKET, "socket", 0, "PATH", "the server's socket (default: of the configuration)"},
    {COMMAND_OUTPUT, "output", 'o', "FORMAT", "table or json (default table)"},
    {COMMAND_QUIET, "quiet", 'q', NULL, "print less: only names, or nothing"},
    {COMMAND_HELP, "help", 'h', NULL, "explain the command"},
    {0, NULL, 0, NULL, NULL},
};

static const struct command rows[] = {
    {"serve", "run the registry", "[options]", 0,
     "Runs until SIGTERM, SIGQUIT or Ctrl-C, then finishes the running requests; a\n"
     "second signal ends it at once. SIGHUP reads the configuration again. Without a\n"
     "configuration file it listens on localhost:32000 and fetches missing\n"
     "images from Docker Hub.\n\n" SOURCES,
     0, 0, NULL},
    {"check", "test the configuration", "[options of serve]", 0,
     "Reads the configuration as serve would and prints every problem with file, line\n"
     "and column. Exit status: 0 ok, 1 wrong, 2 usage.\n\n" SOURCES,
     0, 0, NULL},
    {"status", "show how the server is", "", COMMAND_CLIENT,
     "Prints the version, which processes answer, the free space, and what was done\n"
     "since the start.\n",
     0, 0, client_status},
    {"ls", "list images", "[PATTERN]", COMMAND_CLIENT,
     "Lists the images that are here, pushed and cached ones. PATTERN is one for\n"
     "repositories, like team/* or docker.io/library/*.\n",
     0, 1, client_list},
    {"du", "show what takes space", "[PATTERN]", COMMAND_CLIENT | (unsigned)COMMAND_BY,
     "Adds up the space by upstream, or by repository (with PATTERN: of these). OWN is\n"
     "what no other repository shows. --by next lists the cached images that are\n"
     "evicted first when there are too many.\n",
     0, 1, client_usage},
    {"rm", "remove images", "IMAGE...",
     COMMAND_CLIENT | (unsigned)COMMAND_REPOSITORY | COMMAND_UNTAGGED | COMMAND_RELEASE |
         COMMAND_KEEP_CHILDREN | COMMAND_DRY_RUN | COMMAND_NOW,
     "Removes images, pushed or cached ones. IMAGE is REPOSITORY:TAG, where the tag may\n"
     "have *, or REPOSITORY@DIGEST; with --repository, --untagged or --release a\n"
     "repository, which may have *. A cached one begins with its registry:\n"
     "docker.io/library/nginx:1.25. A tag goes, and its image when nothing else names it.\n",
     1, 1000, client_remove},
    {"gc", "collect what is due", "", COMMAND_CLIENT | (unsigned)COMMAND_DRY_RUN,
     "The server collects by itself. This does it at once, and says how much waits for\n"
     "its time, which is twice storage.grace.\n",
     0, 0, client_collect},
    {"pin", "keep cached images", "[IMAGE...]",
     COMMAND_CLIENT | (unsigned)COMMAND_SET | COMMAND_FROM,
     "Pinned images are not evicted. Without an image the pins are listed. With --from\n"
     "the set consists of the images of that file afterwards.\n",
     0, 1000, client_pin},
    {"unpin", "let cached images go", "[IMAGE...]",
     COMMAND_CLIENT | (unsigned)COMMAND_SET | COMMAND_FROM, "Takes images out of a set of pins.\n",
     0, 1000, client_unpin},
    {"api", "ask the administrator's API", "METHOD PATH", COMMAND_CLIENT | (unsigned)COMMAND_DATA,
     "Sends a request to the administrator's socket and prints the answer. PATH is\n"
     "/api/v1/NAME, or NAME alone. Exit status: 1 when the answer is an error.\n",
     2, 2, client_api},
    {"help", "explain a command or the settings",
     "[COMMAND | settings | example | completion SHELL | man [COMMAND]]", 0,
     "settings prints the manual page of all settings; example prints a configuration\n"
     "file with every setting as a comment; completion prints what bash, zsh or fish\n"
     "needs to complete commands; man prints a manual page for man(1).\n",
     0, 3, NULL},
    {NULL, NULL, NULL, 0, NULL, 0, 0, NULL},
};

const struct option_row *option_rows(void)
{
    return options;
}

const struct command *command_rows(void)
{
    return rows;
}

const struct command *command_find(const char *name)
{
    for (const struct command *command = rows; command->name; command++) {
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
    {"start", "serve"}, {"run", "serve"},       {"server", "serve"}, {"daemon", "serve"},
    {"test", "check"},  {"validate", "check"},  {"verify", "check"}, {"configtest", "check"},
    {"usage", "du"},    {"list", "ls"},         {"images", "ls"},    {"delete", "rm"},
    {"remove", "rm"},   {"prune", "gc"},        {"collect", "gc"},   {"garbage-collect", "gc"},
    {"info", "status"}, {"completion", "help"},
};

const char *command_suggest(const char *name)
{
    const char *nearest = NULL;
    unsigned distance = strlen(name) < 3 ? 2 : 3;

    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(name, aliases[i].name) == 0)
            return aliases[i].means;
    }
    for (const struct command *command = rows; command->name; command++) {
        unsigned here = text_distance(slice_of(name), slice_of(command->name));

        if (here < distance) {
            nearest = command->name;
            distance = here;
        }
    }
    return nearest;
}
