/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator alone may order: TAKE_OUT of hosted and cached repositories, and PIN. */
#include "apply.h"
#include "base/buf.h"
#include "holdings.h"
#include "order.h"
#include "removal.h"
#include "rules/image.h"

#define PINS_MAX ((size_t)16 << 20) /* bytes of the images of a set */

/* ---- taking out ---- */

static void take_tag(const struct apply *apply, struct order *order, struct holder *holder)
{
    const struct message_take_out *take_out = &order->message.take_out;
    uint32_t id = holder->repository.id;
    struct tag tag;

    if (!tag_find(apply->txn, id, take_out->tag, &tag)) {
        order_refuse(order, ERR_NOT_FOUND, "this repository has no such tag");
        return;
    }
    struct change change = {.kind = JOURNAL_REMOVE_TAG,
                            .origin = holder->origin,
                            .repository = holder->name,
                            .tag = take_out->tag,
                            .digest = &tag.digest};
    (void)tag_delete(apply->txn, id, take_out->tag);
    apply_journal(apply, order, &change);
    if (image_has_tag(apply->txn, id, &tag.digest) || !image_is_whole(apply->txn, id, &tag.digest))
        return;
    removal_take(apply, order, holder, &tag.digest, take_out->keeps_children != 0);
    holder_put(apply, holder);
}

static bool on_any_image(const struct digest *digest, unsigned kinds, void *arg)
{
    (void)digest;
    *(bool *)arg = (kinds & LINK_MANIFEST) != 0;
    return !*(bool *)arg;
}

static void take_name(const struct apply *apply, struct order *order, struct holder *holder)
{
    bool has_image = false;

    link_each_in(apply->txn, holder->repository.id, on_any_image, &has_image);
    if (has_image) {
        order_refuse(order, ERR_CONFLICT, "the repository has images; remove them first");
        return;
    }
    holder->repository.is_hosted = false;
    holder->repository.last_post_ms = 0;
    holder->is_changed = true;
    holder_put(apply, holder);
}

void apply_take_out(const struct apply *apply, struct order *order)
{
    const struct message_take_out *take_out = &order->message.take_out;
    struct apply now = *apply;
    struct holder holder;

    now.is_at_once = take_out->is_at_once != 0;
    if (!holder_find(&now, take_out->origin, take_out->repository, &holder))
        order_refuse(order, ERR_NOT_FOUND, "no such repository");
    else if (take_out->kind == TAKE_OUT_TAG)
        take_tag(&now, order, &holder);
    else if (take_out->kind == TAKE_OUT_MANIFEST)
        removal_order(&now, order, &holder, &take_out->digest, take_out->keeps_children != 0);
    else
        take_name(&now, order, &holder);
}

/* ---- pins ---- */

struct pin_set {
    struct slice name;
    struct buf images; /* each with a space behind it */
};

static bool on_pin_of_set(struct slice image, struct slice set, void *arg)
{
    struct pin_set *found = arg;

    if (slice_equal(set, found->name)) {
        buf_append_slice(&found->images, image);
        buf_append_byte(&found->images, ' ');
    }
    return !found->images.is_over;
}

static void each_image(const struct apply *apply, struct slice images, struct slice set, bool is_on)
{
    struct slice image;

    while (slice_split(&images, ' ', &image)) {
        if (image.length == 0)
            continue;
        if (is_on)
            pin_put(apply->txn, image, set);
        else
            (void)pin_delete(apply->txn, image, set);
    }
}

static void empty_set(const struct apply *apply, struct slice set)
{
    struct pin_set found = {.name = set};

    buf_init(&found.images, PINS_MAX);
    pin_each(apply->txn, slice_of(""), slice_of(""), on_pin_of_set, &found);
    each_image(apply, buf_bytes(&found.images), set, false);
    buf_cleanup(&found.images);
}

void apply_pin(const struct apply *apply, const struct order *order)
{
    const struct message_pin *pin = &order->message.pin;

    if (pin->kind == PIN_REPLACE)
        empty_set(apply, pin->set);
    each_image(apply, pin->images, pin->set, pin->kind != PIN_REMOVE);
}
