/* SPDX-License-Identifier: Apache-2.0 */
/* From an order to the function that applies it. This file is above all of these functions. */
#include "apply.h"

#include "order.h"

static void apply_reader(const struct apply *apply, const struct order *order)
{
    const struct message_reader *reader = &order->message.reader;
    struct journal_position position = {reader->number, (uint32_t)reader->place};

    if (reader->is_gone != 0)
        (void)journal_reader_delete(apply->txn, reader->name);
    else
        journal_reader_put(apply->txn, reader->name, &position);
}

void apply_order(const struct apply *apply, struct order *order)
{
    if (order->type == MESSAGE_BLOB_STORED)
        apply_blob_stored(apply, order);
    else if (order->type == MESSAGE_BLOB_SUSPECTED)
        apply_blob_suspected(apply, order);
    else if (order->type == MESSAGE_LINK)
        apply_link(apply, order);
    else if (order->type == MESSAGE_PUSH_BEGUN)
        apply_push_begun(apply, order);
    else if (order->type == MESSAGE_MANIFEST_PUT)
        apply_manifest_put(apply, order);
    else if (order->type == MESSAGE_MANIFEST_STORED)
        apply_manifest_stored(apply, order);
    else if (order->type == MESSAGE_TAG_CHECKED)
        apply_tag_checked(apply, order);
    else if (order->type == MESSAGE_REMOVE)
        apply_remove(apply, order);
    else if (order->type == MESSAGE_TAKE_OUT)
        apply_take_out(apply, order);
    else if (order->type == MESSAGE_PIN)
        apply_pin(apply, order);
    else if (order->type == MESSAGE_USED)
        apply_used(apply, order);
    else if (order->type == MESSAGE_READER)
        apply_reader(apply, order);
    /* BARRIER and COLLECT change nothing: they have waited for their turn. */
}
