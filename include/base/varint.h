/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of variable length: LEB128, seven bits a byte, the lowest first, at most ten bytes. */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;

/* Appends the number to *out. */
void varint_append(struct buf *out, uint64_t number);
/* Cuts a number off *bytes; false when there is none or it does not fit into 64 bits. */
bool varint_cut(struct slice *bytes, uint64_t *out);

#endif
