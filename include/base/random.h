/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers: secret ones, and others for jitter. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct error;

/* From getrandom(2), for ids that must not be guessed. ERR_IO if there is no entropy: the caller
 * must fail then. */
int random_bytes(void *out, size_t length, struct error *err);
/* A number for jitter; it is not secret. */
uint32_t random_below(uint32_t limit);

#endif
