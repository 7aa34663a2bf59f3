/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for people. */
#ifndef HELP_H
#define HELP_H

#include <stdbool.h>
#include <stdio.h>

struct command {
    const char *name;
    const char *summary;
    const char *text; /* of `entrepot help NAME` */
};

/* NULL at the end of the table, and when there is no such command. */
const struct command *command_find(const char *name);
/* The one that was probably meant, or NULL. */
const char *command_suggest(const char *name);
void help_print(FILE *out);
/* `entrepot help NAME`; false: there is nothing of that name. */
bool help_print_about(const char *name);

#endif
