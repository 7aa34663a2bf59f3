/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the texts that explain them. */
#ifndef HELP_H
#define HELP_H

#include <stdbool.h>
#include <stdio.h>

struct command {
    const char *name;
    const char *summary;
    const char *text; /* of `entrepot help NAME` */
};

/* NULL: there is no such command. */
const struct command *command_find(const char *name);
/* The command whose name is nearest, or NULL. */
const char *command_suggest(const char *name);
void help_print(FILE *out);
/* Prints `entrepot help NAME` to standard output. False: there is no help about that. */
bool help_print_about(const char *name);

#endif
