/* SPDX-License-Identifier: Apache-2.0 */
/* Looks in the journal for the effect of a repeated order, or a later change of the same thing. */
#include "repeat.h"

#include "order.h"

#define READ_ONCE 1000 /* entries */

struct query {
    unsigned kinds;
    const struct change *change;
    bool is_found;
};

static bool on_journal_entry(const struct journal_entry *entry, void *arg)
{
    struct query *query = arg;
    const struct change *change = query->change;

    if ((unsigned)entry->kind >= 32 || (query->kinds & REPEAT_KIND(entry->kind)) == 0)
        return true;
    query->is_found = slice_equal(entry->origin, change->origin) &&
                      slice_equal(entry->repository, change->repository) &&
                      (change->tag.length == 0 || slice_equal(entry->tag, change->tag)) &&
                      (!change->digest || digest_equal(&entry->digest, change->digest));
    return !query->is_found;
}

bool repeat_is_overtaken(const struct apply *apply, struct order *order, unsigned kinds,
                         const struct change *change)
{
    struct query query = {kinds, change, false};

    if (!order_is_repeated(order))
        return false;
    struct journal_position position = journal_after(order->head->seen);
    enum journal_progress progress = JOURNAL_MORE;
    while (progress == JOURNAL_MORE && !query.is_found)
        progress = journal_read(apply->txn, &position, READ_ONCE, on_journal_entry, &query);
    if (progress != JOURNAL_TRIMMED)
        return query.is_found;
    order_refuse(order, ERR_BUSY, "the request is older than the journal; send it again");
    return true;
}
