/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAG_CHECKED: an upstream's answer about a tag. The latest answer wins, by the time the upstream
 * gave it, not by the time it arrived. A tag moves only to a manifest that is here and that the
 * repository may show. An upstream's refusal is not told to the keeper: it hides a tag in the
 * fetcher, and takes nothing away here.
 */
#include "apply.h"
#include "holdings.h"
#include "order.h"

static bool is_public(const struct apply *apply, const struct digest *digest)
{
    struct blob_record blob;

    return blob_find(apply->txn, digest, &blob) && blob.is_public;
}

static void journal_tag(const struct apply *apply, const struct order *order)
{
    const struct message_tag_checked *checked = &order->message.tag_checked;
    struct change change = {.kind = JOURNAL_TAG,
                            .origin = checked->origin,
                            .repository = checked->repository,
                            .tag = checked->tag,
                            .digest = &checked->digest};

    apply_journal(apply, order, &change);
}

static bool may_show(const struct apply *apply, const struct holder *holder,
                     const struct digest *digest)
{
    return (link_find(apply->txn, holder->repository.id, digest) & LINK_MANIFEST) != 0 ||
           is_public(apply, digest);
}

static void move_tag(const struct apply *apply, const struct order *order, struct holder *holder)
{
    const struct message_tag_checked *checked = &order->message.tag_checked;

    if (!may_show(apply, holder, &checked->digest) ||
        !holder_add_known_manifest(apply, holder, &checked->digest))
        return;
    holder_put(apply, holder);
    struct tag tag = {checked->digest, apply->now_ms, checked->checked};
    tag_put(apply->txn, holder->repository.id, checked->tag, &tag);
    journal_tag(apply, order);
}

void apply_tag_checked(const struct apply *apply, struct order *order)
{
    const struct message_tag_checked *checked = &order->message.tag_checked;
    struct holder holder;

    if (!holder_find(apply, checked->origin, checked->repository, &holder)) {
        if (!is_public(apply, &checked->digest))
            return;
        holder_get(apply, checked->origin, checked->repository, &holder);
    }
    struct tag old;
    bool was_there = tag_find(apply->txn, holder.repository.id, checked->tag, &old);
    if (was_there && old.checked_ms > checked->checked)
        return;
    if (was_there && digest_equal(&old.digest, &checked->digest)) {
        old.checked_ms = checked->checked;
        tag_put(apply->txn, holder.repository.id, checked->tag, &old);
    } else {
        move_tag(apply, order, &holder);
    }
}
