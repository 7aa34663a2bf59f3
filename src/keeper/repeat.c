/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for an order's own effect, or a later one on the same thing, in the journal. */
#include "repeat.h"

#include "order.h"

struct query {
    unsigned kinds;
    const struct change *change;
    bool is_found;
};

static bool on_entry(const struct journal_entry *entry, void *arg)
{
    struct query *query = arg;
    const struct change *change = query->change;
    if ((unsigned)entry->kind >= 32 || (query->kinds & REPEAT_KIND(entry->kind)) == 0)
        return true;
    query->is_found = slice_equal(entry->origin, change->origin) &&
                      slice_equal(entry->repository, change->repository) &&
                      (change->tag.length == 0 || slice_equal(entry->tag, change->tag)) &&
                      (change->digest == NULL || digest_equal(&entry->digest, change->digest));
    return !query->is_found;
}

bool repeat_is_overtaken(const struct apply *apply, const struct order *order, unsigned kinds,
                         const struct change *change)
{
    if (!order_is_repeated(order))
        return false;
    struct query query = {kinds, change, false};
    journal_each(apply->txn, order->head->seen, on_entry, &query);
    return query.is_found;
}
