/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the process that listens on an address, for the message when ours cannot. */
#ifndef PORT_OWNER_H
#define PORT_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/slice.h"

struct port_owner {
    pid_t pid;
    char name[17]; /* as the kernel keeps it: cut after 16 bytes */
};

/* The address as in the setting: HOST:PORT, localhost:PORT or unix:PATH. False: nobody listens
 * there, or we may not see who (only root sees other users' processes). Reads /proc, so it may take
 * some milliseconds. */
bool port_owner_find(struct slice address, struct port_owner *out);

#endif
