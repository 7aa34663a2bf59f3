/* SPDX-License-Identifier: Apache-2.0 */
/* For targets that feed the same bytes in other pieces. */
#ifndef FUZZ_CUT_H
#define FUZZ_CUT_H

#include "base/check.h"
#include "base/slice.h"

static inline void cut_check_inside(struct slice part, struct slice whole)
{
    CHECK(part.length == 0 ||
          (part.data >= whole.data && part.data + part.length <= whole.data + whole.length));
}

/* A place that follows from the content. */
static inline size_t cut_choose(struct slice bytes)
{
    uint32_t hash = 2166136261U;

    for (size_t i = 0; i < bytes.length; i++)
        hash = (hash ^ (unsigned char)bytes.data[i]) * 16777619U;
    return hash % (bytes.length + 1);
}

#endif
