/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets. They are bound once, while the server may still be root, and kept until it
 * ends; every worker gets a duplicate of each. */
#ifndef LISTENERS_H
#define LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/message.h"
#include "net/listener.h"

struct config;
struct error;
struct identity;

struct bound {
    int fd;
    enum listener_kind kind;
    bool is_proxied; /* its connections begin with the PROXY protocol */
    char address[ADDRESS_TEXT_SIZE];
};

struct listeners {
    struct bound items[LISTENERS_MAX];
    size_t count;
};

/* Opens all sockets or none. ERR_INVALID, ERR_IO: the text names the address. */
int listeners_open(const struct config *config, struct listeners *out, struct error *err);
/* Adds the administrator's socket at this path, which belongs to the user that the children run as.
 */
int listeners_add_control(struct listeners *listeners, const char *path,
                          const struct config *config, const struct identity *identity,
                          struct error *err);
void listeners_close(struct listeners *listeners);

#endif
