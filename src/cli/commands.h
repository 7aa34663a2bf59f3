/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands, one row each. From it come `entrepot help`, the help of each command, the
 * completions of the shells and the man pages.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

struct call;

/* The options: bits of what a command has. */
enum command_option {
    COMMAND_CONFIG = 1u << 0,
    COMMAND_SOCKET = 1u << 1,
    COMMAND_OUTPUT = 1u << 2,
    COMMAND_QUIET = 1u << 3,
    COMMAND_DRY_RUN = 1u << 4,
    COMMAND_NOW = 1u << 5,
    COMMAND_REPOSITORY = 1u << 6,
    COMMAND_UNTAGGED = 1u << 7,
    COMMAND_RELEASE = 1u << 8,
    COMMAND_KEEP_CHILDREN = 1u << 9,
    COMMAND_BY = 1u << 10,
    COMMAND_SET = 1u << 11,
    COMMAND_FROM = 1u << 12,
    COMMAND_DATA = 1u << 13,
    COMMAND_HELP = 1u << 14,
    COMMAND_OPTIONS = 15, /* their number */
};
/* What every command that speaks to a server has. */
#define COMMAND_CLIENT                                                                             \
    ((unsigned)COMMAND_CONFIG | COMMAND_SOCKET | COMMAND_OUTPUT | COMMAND_QUIET | COMMAND_HELP)

struct option_row {
    unsigned bit;
    const char *name;  /* without "--" */
    char letter;       /* 0: none */
    const char *value; /* "FILE"; NULL: it takes none */
    const char *help;
};

/* NULL-terminated by name. */
const struct option_row *option_rows(void);

struct command {
    const char *name;
    const char *summary;
    const char *arguments;         /* "IMAGE..."; "": none */
    unsigned options;              /* bits; 0: the options are in the text */
    const char *text;              /* what it does, in lines of at most 80 bytes */
    unsigned least, most;          /* operands */
    int (*run)(struct call *call); /* returns the exit status; NULL: not a client's */
};

/* NULL-terminated by name. */
const struct command *command_rows(void);
/* NULL: there is no such command. */
const struct command *command_find(const char *name);
/* The command whose name is nearest, or NULL. */
const char *command_suggest(const char *name);

#endif
