/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the command line into data, and tells the person at the terminal how to use the server. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/message.h"

struct call;
struct config;

/* What the arguments ask for. */
enum cli_command {
    CLI_DONE,  /* help or a mistake was printed: exit with `status` */
    CLI_SERVE, /* become the master */
    CLI_CHECK, /* read the configuration and print its problems */
    CLI_CHILD, /* the master started us: `role` and `slot` */
    CLI_CALL,  /* ask the server that runs: cli_call */
};

#define CLI_STATUS_FAILED 1
#define CLI_STATUS_USAGE  2

/* The parsed command line. */
struct cli_arguments {
    enum cli_command command;
    int status;
    const char *config_file; /* borrowed from argv; NULL: the default file */
    char **settings;         /* "key=value", NULL at the end: for config_load */
    size_t setting_count;
    enum process_role role;
    unsigned slot;
    struct call *call; /* of CLI_CALL */
};

/* Prints help, the version and mistakes itself; then the command is CLI_DONE. */
void cli_parse(int argc, char **argv, const char *version, struct cli_arguments *out);
void cli_arguments_free(struct cli_arguments *arguments);
/* Does the call need the configuration, to know the server's socket? */
bool cli_needs_config(const struct cli_arguments *arguments);
/* Does what the command says; `config` may be NULL when it is not needed. Prints what is wrong.
 * Returns the exit status. */
int cli_call(struct cli_arguments *arguments, const struct config *config);
/* Prints which addresses a start could not listen on, other than because a server is there already.
 * Returns their number. */
unsigned cli_examine(const struct config *config);
/* If standard error is a terminal: how to use Docker, containerd and MicroK8s with this server. */
void cli_print_welcome(const char *const *addresses, size_t count);

#endif
