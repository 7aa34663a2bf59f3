/* SPDX-License-Identifier: Apache-2.0 */
/* What the ledger has, and who may see it: public content everybody, the rest through a link of the
 * repository alone. */
#ifndef VISIBLE_H
#define VISIBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"
#include "oci/media_type.h"

struct fetcher;

enum visible {
    VISIBLE_ABSENT, /* or nothing of it may be seen by any of the upstream's */
    VISIBLE_HIDDEN, /* here, but not for this repository */
    VISIBLE_HERE,
};

enum visible visible_blob(struct fetcher *fetcher, struct slice origin, struct slice repository,
                          const struct digest *digest);

struct visible_manifest {
    uint64_t size;
    bool is_linked; /* the repository is known to have it */
    char media_type[MEDIA_TYPE_MAX_LENGTH + 1];
};
enum visible visible_manifest(struct fetcher *fetcher, struct slice origin, struct slice repository,
                              const struct digest *digest, struct visible_manifest *out);

/* False: the ledger does not know the tag. */
bool visible_tag(struct fetcher *fetcher, struct slice origin, struct slice repository,
                 struct slice tag, struct digest *out_digest, uint64_t *out_checked_ms);

#endif
