/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that people know from other registries, and one sentence about each. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include <stdbool.h>

#include "base/slice.h"

struct foreign_setting {
    const char *path;
    const char *sentence;
    bool is_group;     /* everything below it is meant, too */
    bool is_protected; /* without it the registry would be open; such a wish is never ignored */
};

/* NULL: it is none that we know. */
const struct foreign_setting *foreign_setting_find(struct slice path);

#endif
