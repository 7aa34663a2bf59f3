/* SPDX-License-Identifier: Apache-2.0 */
/* Who the children are. */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>

struct identity;

/* In a new process, before it executes anything: becomes that user for good, and can never gain
 * rights again. False with errno. */
bool privileges_drop(const struct identity *identity);
/* As many descriptors as we may have. */
void privileges_raise_descriptors(void);

#endif
