/* SPDX-License-Identifier: Apache-2.0 */
/* The journal entry of a change. This file is below all functions that apply orders. */
#include "apply.h"
#include "order.h"

void apply_journal(const struct apply *apply, const struct order *order,
                   const struct change *change)
{
    static const struct actor nobody = {.principal = {NULL, 0}};
    const struct actor *actor = order ? &order->head->actor : &nobody;
    struct journal_entry entry = {
        .kind = change->kind,
        .when_ms = apply->now_ms,
        .origin = change->origin,
        .repository = change->repository,
        .tag = change->tag,
        .principal = actor->principal,
        .address = actor->address,
        .request_id = actor->request_id,
    };

    if (change->digest)
        entry.digest = *change->digest;
    journal_add(apply->txn, &entry);
}
