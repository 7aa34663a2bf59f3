/* SPDX-License-Identifier: Apache-2.0 */
/* Which order is applied by what; the journal; what is applied by itself now and then. */
#include "apply.h"

#include "order.h"

#define DAY_MS            (24ull * 3600 * 1000)
#define JOURNAL_KEPT_MS   (7 * DAY_MS)
#define JOURNAL_HELD_MS   (28 * DAY_MS) /* for registered readers that are behind */
#define JOURNAL_TRIM_ONCE 1000          /* others wait for the transaction */

void apply_journal(const struct apply *apply, const struct order *order,
                   const struct change *change)
{
    const struct actor *actor = &order->head->actor;
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
    if (change->digest != NULL)
        entry.digest = *change->digest;
    journal_add(apply->txn, &entry);
}

static uint64_t ms_ago(const struct apply *apply, uint64_t ms)
{
    return apply->now_ms > ms ? apply->now_ms - ms : 0;
}

void apply_housekeeping(const struct apply *apply, struct order *order)
{
    struct journal_ages ages = {
        .before_ms = ms_ago(apply, JOURNAL_KEPT_MS),
        .held_before_ms = ms_ago(apply, JOURNAL_HELD_MS),
    };
    order->is_unfinished = journal_trim(apply->txn, &ages, JOURNAL_TRIM_ONCE) == JOURNAL_TRIM_ONCE;
}

void apply_order(const struct apply *apply, struct order *order)
{
    if (order->type == MESSAGE_NONE) {
        apply_housekeeping(apply, order);
    } else if (order->type == MESSAGE_BLOB_STORED) {
        apply_blob_stored(apply, order);
    } else if (order->type == MESSAGE_LINK) {
        apply_link(apply, order);
    } else if (order->type == MESSAGE_PUSH_BEGUN) {
        apply_push_begun(apply, order);
    } else if (order->type == MESSAGE_MANIFEST_PUT) {
        apply_manifest_put(apply, order);
    } else if (order->type == MESSAGE_MANIFEST_STORED) {
        apply_manifest_stored(apply, order);
    } else if (order->type == MESSAGE_TAG_CHECKED) {
        apply_tag_checked(apply, order);
    } else if (order->type == MESSAGE_REMOVE) {
        apply_remove(apply, order);
    } else if (order->type == MESSAGE_USED) {
        apply_used(apply, order);
    }
    /* A barrier only waits for its turn. */
}
