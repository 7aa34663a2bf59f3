/* SPDX-License-Identifier: Apache-2.0 */
/* REMOVE from hosted repositories. The repository's record stays: the name remains hosted. */
#include "apply.h"
#include "holdings.h"
#include "order.h"
#include "removal.h"
#include "repeat.h"

static void journal_removal(const struct apply *apply, const struct order *order,
                            enum journal_kind kind, struct slice tag, const struct digest *digest)
{
    struct change change = {
        .kind = kind, .repository = order->message.remove.repository, .tag = tag, .digest = digest};

    apply_journal(apply, order, &change);
}

static void apply_tag_removal(const struct apply *apply, struct order *order,
                              const struct holder *holder)
{
    const struct message_remove *remove = &order->message.remove;
    struct tag tag;

    if (!tag_find(apply->txn, holder->repository.id, remove->tag, &tag)) {
        order_refuse(order, ERR_NOT_FOUND, "this repository has no such tag");
        return;
    }
    if (remove->is_conditional != 0 && !digest_equal(&tag.digest, &remove->digest)) {
        order_refuse(order, ERR_CONFLICT, "the tag has changed meanwhile");
        return;
    }
    (void)tag_delete(apply->txn, holder->repository.id, remove->tag);
    journal_removal(apply, order, JOURNAL_REMOVE_TAG, remove->tag, &tag.digest);
}

static void apply_blob_removal(const struct apply *apply, struct order *order,
                               struct holder *holder)
{
    const struct digest *digest = &order->message.remove.digest;

    if ((link_find(apply->txn, holder->repository.id, digest) & LINK_BLOB) == 0) {
        order_refuse(order, ERR_NOT_FOUND, "this repository has no such blob");
        return;
    }
    if (referred_any(apply->txn, holder->repository.id, digest)) {
        order_refuse(order, ERR_DENIED, "a manifest of this repository names it");
        return;
    }
    holder_drop(apply, holder, digest, LINK_BLOB);
    blob_release(apply, digest);
    holder_put(apply, holder);
    journal_removal(apply, order, JOURNAL_REMOVE_BLOB, slice_from(NULL, 0), digest);
}

static unsigned repeat_kinds(enum remove_kind kind)
{
    switch (kind) {
    case REMOVE_TAG:
        return REPEAT_KIND(JOURNAL_TAG) | REPEAT_KIND(JOURNAL_REMOVE_TAG);
    case REMOVE_MANIFEST:
        return REPEAT_KIND(JOURNAL_MANIFEST) | REPEAT_KIND(JOURNAL_REMOVE_MANIFEST);
    case REMOVE_BLOB:
        return REPEAT_KIND(JOURNAL_BLOB) | REPEAT_KIND(JOURNAL_LINK) |
               REPEAT_KIND(JOURNAL_REMOVE_BLOB);
    }
    return 0;
}

void apply_remove(const struct apply *apply, struct order *order)
{
    const struct message_remove *remove = &order->message.remove;
    enum remove_kind kind = (enum remove_kind)remove->kind;
    struct change change = {.repository = remove->repository};

    if (kind == REMOVE_TAG)
        change.tag = remove->tag;
    else
        change.digest = &remove->digest;
    if (repeat_is_overtaken(apply, order, repeat_kinds(kind), &change))
        return;
    struct holder holder;
    if (!holder_find(apply, slice_from("", 0), remove->repository, &holder))
        order_refuse(order, ERR_NOT_FOUND, "no such repository");
    else if (kind == REMOVE_TAG)
        apply_tag_removal(apply, order, &holder);
    else if (kind == REMOVE_MANIFEST)
        removal_order(apply, order, &holder, &remove->digest, false);
    else
        apply_blob_removal(apply, order, &holder);
}
