/* SPDX-License-Identifier: Apache-2.0 */
/* The privileges of the master and its children. */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>

struct identity;

/* Called in a new process before it executes the program: it becomes that user for good, and can
 * never gain rights again. False: see errno. */
bool privileges_drop(const struct identity *identity);

#endif
