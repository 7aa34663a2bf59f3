/* SPDX-License-Identifier: Apache-2.0 */
/* Skips a cmocka test that this machine cannot run. Needs cmocka.h before it. */
#ifndef SUPPORT_NEED_H
#define SUPPORT_NEED_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Unless `condition`: the test that calls it is skipped, and tests/run lists it with `what` it
 * needs. */
#define NEED(condition, what)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            need_missing(__func__, what);                                                          \
    } while (0)

static inline void need_missing(const char *test, const char *what)
{
    const char *path = getenv("ENTREPOT_SKIPPED");
    FILE *out = path ? fopen(path, "a") : NULL;

    if (out) {
        fprintf(out, "%s.%s: needs %s\n", program_invocation_short_name, test, what);
        fclose(out);
    }
    print_message("%s needs %s\n", test, what);
    skip();
}

#endif
