/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections of clients a worker may have, by the descriptors that it may have: apart so
 * that it can be tested alone. */
#ifndef WORKER_CONNECTION_LIMIT_H
#define WORKER_CONNECTION_LIMIT_H

#include <stdint.h>

/* `setting`, or what leaves descriptors for all else: never less than a handful. */
uint64_t connection_limit(uint64_t setting, uint64_t descriptors);

#endif
