/* SPDX-License-Identifier: Apache-2.0 */
/* Which order is applied by what; the journal; what is applied by itself now and then. */
#include "apply.h"

#include <stdio.h>
#include <string.h>

#include "order.h"

#define JOURNAL_KEPT_MS   (7ull * 24 * 3600 * 1000)
#define ACTOR_TEXT_SIZE   512
#define JOURNAL_TRIM_ONCE 1000 /* others wait for the transaction */

void apply_journal(const struct apply *apply, const struct order *order,
                   const struct change *change)
{
    const struct actor *actor = &order->head->actor;
    char text[ACTOR_TEXT_SIZE];
    (void)snprintf(text, sizeof(text), "%.*s %.*s %.*s", SLICE_PRINT(actor->principal),
                   SLICE_PRINT(actor->address), SLICE_PRINT(actor->request_id));
    struct journal_entry entry = {
        .kind = change->kind,
        .when_ms = apply->now_ms,
        .origin = change->origin,
        .repository = change->repository,
        .tag = change->tag,
        .actor = slice_of(text),
    };
    if (change->digest != NULL)
        entry.digest = *change->digest;
    journal_add(apply->txn, &entry);
}

void apply_housekeeping(const struct apply *apply, struct order *order)
{
    if (apply->now_ms > JOURNAL_KEPT_MS) {
        order->is_unfinished = journal_trim(apply->txn, apply->now_ms - JOURNAL_KEPT_MS,
                                            JOURNAL_TRIM_ONCE) == JOURNAL_TRIM_ONCE;
    }
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
