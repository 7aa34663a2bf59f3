/* SPDX-License-Identifier: Apache-2.0 */
/* Who makes a request, as found out by authentication. */
#ifndef RULES_PRINCIPAL_H
#define RULES_PRINCIPAL_H

#include "base/slice.h"

struct principal {
    struct slice name; /* as logs and the journal print it; lives as long as the request */
};

static inline struct principal principal_anonymous(void)
{
    return (struct principal){.name = SLICE_LITERAL("anonymous")};
}

#endif
