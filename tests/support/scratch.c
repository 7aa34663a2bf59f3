/* SPDX-License-Identifier: Apache-2.0 */
#include "support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"

static char path[256];

const char *scratch_make(void)
{
    const char *parent = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe) */

    (void)snprintf(path, sizeof(path), "%s/entrepot-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(path));
    return path;
}

static int on_entry(const char *name, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(name);
}

void scratch_remove(void)
{
    if (path[0] != '\0')
        (void)nftw(path, on_entry, 16, FTW_DEPTH | FTW_PHYS);
    path[0] = '\0';
}
