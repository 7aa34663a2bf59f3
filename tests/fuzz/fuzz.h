/* SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target defines. It uses CHECK for what must hold of accepted input. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input, which must not outlive the call. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
