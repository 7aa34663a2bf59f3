/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that are made from the tables of commands and of settings. */
#ifndef HELP_H
#define HELP_H

#include <stdbool.h>
#include <stdio.h>

struct command;

void help_print(FILE *out);
void help_print_command(const struct command *command, FILE *out);
/* Prints `entrepot help WORD [WORD]` to standard output. False: there is no help about that. */
bool help_print_about(const char *name, const char *rest);
/* What a shell needs: bash, zsh or fish. False: another one. */
bool completion_print(const char *shell, FILE *out);
/* A page for man(1): of a command, or (NULL) of the program. */
void manual_print(const struct command *command, FILE *out);

#endif
