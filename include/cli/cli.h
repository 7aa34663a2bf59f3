/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what was asked for, as data; and what is printed for people. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>

#include "ipc/message.h"

/* What the arguments ask for. */
enum cli_command {
    CLI_DONE,  /* help or a mistake was printed: exit with `status` */
    CLI_SERVE, /* become the master */
    CLI_CHECK, /* read the configuration and say what is wrong with it */
    CLI_CHILD, /* the master started us: `role` and `slot` */
};

#define CLI_STATUS_FAILED 1
#define CLI_STATUS_USAGE  2

/* The command line, understood. */
struct cli_arguments {
    enum cli_command command;
    int status;
    const char *config_file; /* borrowed from argv; NULL: the usual one */
    char **settings;         /* "key=value", NULL at the end: for config_load */
    size_t setting_count;
    enum process_role role;
    unsigned slot;
};

/* Prints help, version and mistakes itself. */
void cli_parse(int argc, char **argv, const char *version, struct cli_arguments *out);
void cli_arguments_free(struct cli_arguments *arguments);
/* On a terminal: what to paste into Docker, containerd and MicroK8s. */
void cli_print_welcome(const char *const *addresses, size_t count);

#endif
