/* SPDX-License-Identifier: Apache-2.0 */
/* What every child does first and last: the line to the master (descriptor 3), configuration,
 * shared memory, channels, START, drain, exit. */
#ifndef CHILD_H
#define CHILD_H

#include "ipc/message.h"

/* Runs the role until it is drained or the master is gone. Returns the exit status. */
int child_run(enum process_role role, unsigned slot);

#endif
