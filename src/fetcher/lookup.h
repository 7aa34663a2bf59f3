/* SPDX-License-Identifier: Apache-2.0 */
/* What the ledger says about an upstream's repository: rules/visible, asked on the word of the
 * worker that sent the JOIN. Each call reads in a transaction of its own; what it finds is copied.
 */
#ifndef FETCHER_LOOKUP_H
#define FETCHER_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "rules/visible.h"

struct config_upstream;
struct fetcher;

/* Where to look; made for the call. */
struct lookup {
    const struct fetcher *fetcher;
    const struct config_upstream *upstream;
    struct slice repository; /* as the upstream knows it */
    bool is_own_only;        /* public content of other repositories does not count */
};

/* What the fetcher needs from a manifest's record. */
struct lookup_manifest {
    uint64_t size;
    char media_type[MEDIA_TYPE_MAX_LENGTH + 1];
};

/*
 * The next two open the file, unless the bytes are in the ledger: a file that the ledger names may
 * be lost or damaged, and the worker that has found it so must not be sent back to it. They are
 * called for misses only, on the loop.
 */
/* *out_is_damaged: the repository may see the blob, but its file is not whole. ABSENT then. */
enum visible lookup_blob(const struct lookup *lookup, const struct digest *digest,
                         bool *out_is_damaged);
bool lookup_manifest(const struct lookup *lookup, const struct digest *digest,
                     struct lookup_manifest *out);
bool lookup_tag(const struct lookup *lookup, struct slice name, struct tag *out);

#endif
