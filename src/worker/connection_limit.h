/* SPDX-License-Identifier: Apache-2.0 */
/* How many client connections a worker may hold, given how many descriptors it may have. In a file
 * of its own so that it can be tested alone. */
#ifndef WORKER_CONNECTION_LIMIT_H
#define WORKER_CONNECTION_LIMIT_H

#include <stdint.h>

/* `setting` (limits.connections), or fewer when `descriptors` would not suffice for them and for
 * everything else; but never fewer than 8. */
uint64_t connection_limit(uint64_t setting, uint64_t descriptors);

#endif
