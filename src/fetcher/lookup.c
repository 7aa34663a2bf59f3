/* SPDX-License-Identifier: Apache-2.0 */
/* See lookup.h. */
#include "lookup.h"

#include <stdio.h>

#include "base/error.h"
#include "base/fd.h"
#include "role.h"
#include "rules/authorize.h"
#include "rules/resolve.h"
#include "store/store.h"

struct looking { /* from begin to end */
    struct ledger_txn *txn;
    struct resolved target;
    struct permit permit;
};

static void begin_looking(const struct lookup *lookup, struct looking *looking)
{
    looking->txn = ledger_read(lookup->fetcher->reader);
    resolve_cached(lookup->upstream, looking->txn, lookup->repository, &looking->target);
    permit_for_worker(&looking->target, lookup->is_own_only, &looking->permit);
}

static void end_looking(const struct lookup *lookup)
{
    ledger_read_end(lookup->fetcher->reader);
}

/* A file that is not the one that the record knows is fetched again: a worker that has found it
 * right does not ask. */
static bool has_file(const struct lookup *lookup, const struct digest *digest,
                     const struct blob_record *record)
{
    struct error ignored; /* the worker that found the damage has logged it */
    struct store_blob found;
    AUTO_CLOSE int fd = -1;

    return store_blob_open(lookup->fetcher->options.store, digest, record->size, &fd, &found,
                           &ignored) == 0 &&
           blob_trust(record, &found.identity) == BLOB_TRUSTED;
}

enum visible lookup_blob(const struct lookup *lookup, const struct digest *digest,
                         bool *out_is_damaged)
{
    struct looking looking;
    struct blob_record record;

    begin_looking(lookup, &looking);
    enum visible visible = visible_blob(&looking.permit, looking.txn, digest, &record);
    end_looking(lookup);
    *out_is_damaged = visible != VISIBLE_ABSENT && !has_file(lookup, digest, &record);
    return *out_is_damaged ? VISIBLE_ABSENT : visible;
}

bool lookup_manifest(const struct lookup *lookup, const struct digest *digest,
                     struct lookup_manifest *out)
{
    struct looking looking;
    struct manifest_record record;
    struct blob_record file;

    begin_looking(lookup, &looking);
    bool is_here = visible_manifest(&looking.permit, looking.txn, digest, &record);
    bool is_inline = is_here && record.bytes.length > 0;
    if (is_here) {
        out->size = record.size;
        (void)snprintf(out->media_type, sizeof(out->media_type), "%.*s",
                       SLICE_PRINT(record.media_type));
    }
    bool has_record = is_here && visible_file(&looking.permit, looking.txn, digest, &file);
    end_looking(lookup);
    return is_here && (is_inline || (has_record && has_file(lookup, digest, &file)));
}

bool lookup_tag(const struct lookup *lookup, struct slice name, struct tag *out)
{
    struct looking looking;

    begin_looking(lookup, &looking);
    bool is_known = visible_tag(&looking.permit, looking.txn, name, out);
    end_looking(lookup);
    return is_known;
}
