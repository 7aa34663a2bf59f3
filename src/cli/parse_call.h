/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a command that speaks to the server. */
#ifndef PARSE_CALL_H
#define PARSE_CALL_H

struct call;
struct cli_arguments;
struct command;

/* Fills out->config_file, and out->status when it returns NULL: then help, the version or a mistake
 * was printed. The call is the caller's, to be freed with mem_free. */
struct call *parse_call(int argc, char **argv, const struct command *command, const char *version,
                        struct cli_arguments *out);

#endif
