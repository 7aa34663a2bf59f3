/* SPDX-License-Identifier: Apache-2.0 */
/* The frame around every role: it takes the configuration, shared memory and channels from the
 * master's line (descriptor 3), makes the role, and ends it. */
#ifndef CHILD_H
#define CHILD_H

#include "ipc/message.h"

/* Runs the role until it is drained or the master is gone. Returns the exit status. */
int child_run(enum process_role role, unsigned slot);

#endif
