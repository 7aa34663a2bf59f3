/* SPDX-License-Identifier: Apache-2.0 */
/* See rules/image.h. */
#include "rules/image.h"

#include "store/ledger.h"

static bool on_any_name(struct slice name, void *arg)
{
    (void)name;
    *(bool *)arg = true;
    return false;
}

bool image_has_tag(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    bool has_any = false;

    tag_each_of(txn, repository, digest, on_any_name, &has_any);
    return has_any;
}

static bool is_shown(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    return (link_find(txn, repository, digest) & LINK_MANIFEST) != 0;
}

bool image_is_part(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    struct manifest_record record;

    return referred_any(txn, repository, digest) ||
           (manifest_find(txn, digest, &record) && (unsigned)record.subject.algorithm != 0 &&
            is_shown(txn, repository, &record.subject));
}

bool image_is_whole(struct ledger_txn *txn, uint32_t repository, const struct digest *digest)
{
    return is_shown(txn, repository, digest) &&
           (image_has_tag(txn, repository, digest) || !image_is_part(txn, repository, digest));
}
