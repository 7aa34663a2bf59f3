/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a command that speaks to the server: what the command line said, and how it asks. */
#ifndef CALL_H
#define CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct command;
struct config;
struct jsonio_value;

struct call {
    const struct command *command;
    unsigned flags; /* enum command_option: options that were given */
    const char *socket;
    const char *by;
    const char *set;
    const char *from;
    const char *data;
    bool is_json;
    char **operands; /* of argv */
    size_t operand_count;
    char path[108]; /* of the socket */
};

/* An answer of the server: `body` is a JSON document. */
struct reply {
    int status;
    struct buf body;
};

/* Asks and waits. False: there was no answer, and standard error has the reason. */
bool call_ask(const struct call *call, const char *method, const char *address, struct slice body,
              struct reply *out);
void reply_cleanup(struct reply *reply);
#define AUTO_REPLY __attribute__((cleanup(reply_cleanup)))
/* The same, and prints the server's error. True: the status is 2xx. */
bool call_get(const struct call *call, const char *method, const char *address, struct slice body,
              struct reply *out);
/* Calls `each` for every entry of all pages of a list. False: an error was printed. */
typedef void call_each_fn(struct jsonio_value entry, void *arg);
bool call_each(const struct call *call, const char *address, const char *key, call_each_fn *each,
               void *arg);

#endif
