/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and checks messages to the keeper: an order that is not bad can be applied. */
#include "order.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "oci/manifest.h"
#include "oci/name.h"
#include "store/journal.h"
#include "store/ledger.h"

void order_refuse(struct order *order, enum error_kind kind, const char *fmt, ...)
{
    va_list args;

    order->refusal.kind = kind;
    va_start(args, fmt);
    (void)vsnprintf(order->refusal.text, sizeof(order->refusal.text), fmt, args);
    va_end(args);
}

void order_reset(struct order *order)
{
    order->refusal.kind = ERR_NONE;
    order->number = 0;
    buf_clear(&order->missing);
}

bool order_is_bad(const struct order *order)
{
    return order->refusal.kind != ERR_NONE;
}

bool order_is_lie(const struct order *order)
{
    return order->trust == ORDER_FAILED && order->file_error.kind == ERR_DIGEST_MISMATCH;
}

uint64_t order_id(const struct order *order)
{
    if (order->type == MESSAGE_BARRIER)
        return order->message.barrier.request;
    return order->head ? order->head->request : 0;
}

bool order_is_repeated(const struct order *order)
{
    return order->head && order->head->repeated != 0;
}

/* `file` has the size and the inode. */
static void set_file(struct order *order, struct store_file file, uint64_t place, struct slice name,
                     const struct digest *digest)
{
    order->digest = *digest;
    if (name.length == 0)
        return;
    if ((place != PLACE_UPLOADS && place != PLACE_SPOOL) || name.length >= STORE_NAME_SIZE) {
        order_refuse(order, ERR_INVALID, "bad file in a request");
        return;
    }
    order->has_file = true;
    memcpy(order->file_name, name.data, name.length);
    order->file = file;
    order->file.place = (enum store_place)place;
    order->file.name = order->file_name;
}

static bool is_repository(struct slice name)
{
    return name.length > 0 && name.length <= NAME_MAX_LENGTH;
}

static bool has_digest(const struct digest *digest)
{
    return (unsigned)digest->algorithm != 0;
}

static bool are_tags(struct slice tags)
{
    struct slice tag;

    while (slice_split(&tags, ' ', &tag)) {
        if (tag.length == 0 || tag.length > TAG_MAX_LENGTH)
            return false;
    }
    return true;
}

static bool is_body(struct slice body, uint64_t size)
{
    return size > 0 && (body.length == size || body.length == 0);
}

static bool is_manifest_put(struct order *order)
{
    struct message_manifest_put *put = &order->message.manifest_put;

    if (put->tags.length == 0)
        put->tags = (struct slice){NULL, 0}; /* no tag, rather than one with an empty name */
    set_file(order, (struct store_file){.inode = put->inode, .size = put->size}, PLACE_UPLOADS,
             put->file, &put->digest);
    return is_repository(put->repository) && has_digest(&put->digest) && are_tags(put->tags) &&
           put->size <= MANIFEST_MAX_SIZE && is_body(put->body, put->size);
}

static bool is_manifest_stored(struct order *order)
{
    const struct message_manifest_stored *stored = &order->message.manifest_stored;

    set_file(order, (struct store_file){.inode = stored->inode, .size = stored->size}, PLACE_SPOOL,
             stored->file, &stored->digest);
    return is_repository(stored->repository) && has_digest(&stored->digest) &&
           stored->origin.length > 0 && stored->origin.length <= REGISTRY_MAX_LENGTH &&
           stored->tag.length <= TAG_MAX_LENGTH && is_body(stored->body, stored->size);
}

static bool is_blob_stored(struct order *order)
{
    const struct message_blob_stored *stored = &order->message.blob_stored;

    set_file(order, (struct store_file){.inode = stored->inode, .size = stored->size},
             stored->place, stored->file, &stored->digest);
    return stored->repository.length <= NAME_MAX_LENGTH && has_digest(&stored->digest) &&
           stored->origin.length <= REGISTRY_MAX_LENGTH;
}

static bool is_tag_checked(const struct message_tag_checked *checked)
{
    return is_repository(checked->repository) && checked->origin.length > 0 &&
           checked->origin.length <= REGISTRY_MAX_LENGTH && checked->tag.length > 0 &&
           checked->tag.length <= TAG_MAX_LENGTH && has_digest(&checked->digest);
}

static bool is_remove(const struct message_remove *remove)
{
    if (!is_repository(remove->repository))
        return false;
    if (remove->kind == REMOVE_TAG)
        return remove->tag.length > 0 && remove->tag.length <= TAG_MAX_LENGTH;
    return (remove->kind == REMOVE_MANIFEST || remove->kind == REMOVE_BLOB) &&
           has_digest(&remove->digest);
}

static bool is_take_out(const struct message_take_out *take_out)
{
    if (!is_repository(take_out->repository) || take_out->origin.length > REGISTRY_MAX_LENGTH)
        return false;
    if (take_out->kind == TAKE_OUT_TAG)
        return take_out->tag.length > 0 && take_out->tag.length <= TAG_MAX_LENGTH;
    if (take_out->kind == TAKE_OUT_MANIFEST)
        return has_digest(&take_out->digest);
    return take_out->kind == TAKE_OUT_NAME && take_out->origin.length == 0;
}

static bool is_pin(const struct message_pin *pin)
{
    return pin->kind >= PIN_ADD && pin->kind <= PIN_REPLACE && pin->set.length > 0 &&
           pin->set.length <= PIN_SET_MAX;
}

static bool is_reader(const struct message_reader *reader)
{
    return reader->name.length > 0 && reader->name.length <= JOURNAL_READER_NAME_MAX &&
           reader->place <= UINT32_MAX;
}

static bool is_well_formed(struct order *order)
{
    const union order_message *message = &order->message;

    if (order->type == MESSAGE_BLOB_STORED)
        return is_blob_stored(order);
    if (order->type == MESSAGE_LINK) {
        return is_repository(message->link.repository) && has_digest(&message->link.digest) &&
               message->link.origin.length <= REGISTRY_MAX_LENGTH;
    }
    if (order->type == MESSAGE_PUSH_BEGUN)
        return is_repository(message->push_begun.repository);
    if (order->type == MESSAGE_MANIFEST_PUT)
        return is_manifest_put(order);
    if (order->type == MESSAGE_MANIFEST_STORED)
        return is_manifest_stored(order);
    if (order->type == MESSAGE_TAG_CHECKED)
        return is_tag_checked(&message->tag_checked);
    if (order->type == MESSAGE_REMOVE)
        return is_remove(&message->remove);
    if (order->type == MESSAGE_TAKE_OUT)
        return is_take_out(&message->take_out);
    if (order->type == MESSAGE_PIN)
        return is_pin(&message->pin);
    if (order->type == MESSAGE_READER)
        return is_reader(&message->reader);
    if (order->type == MESSAGE_BLOB_SUSPECTED) {
        order->digest = message->blob_suspected.digest;
        return has_digest(&order->digest);
    }
    return order->type == MESSAGE_USED || order->type == MESSAGE_BARRIER ||
           order->type == MESSAGE_COLLECT;
}

/* The table of messages says who may send which. What an upstream is said to have is the fetcher's
 * word alone: a worker talks to strangers, and may be running their code. */
static bool may_say(const struct order *order, enum process_role sender)
{
    const union order_message *message = &order->message;

    if (sender == ROLE_FETCHER)
        return true;
    if (order->type == MESSAGE_LINK)
        return message->link.origin.length == 0;
    if (order->type != MESSAGE_BLOB_STORED)
        return true;
    return message->blob_stored.place == PLACE_UPLOADS && message->blob_stored.is_public == 0 &&
           message->blob_stored.origin.length == 0;
}

struct order *order_new(enum message_type type, struct slice body, enum process_role sender)
{
    struct order *order = NEW(struct order);

    list_init(&order->link);
    buf_init(&order->missing, (size_t)ORDER_MISSING_MAX * DIGEST_BINARY_MAX);
    order->type = type;
    order->trust = sender == ROLE_FETCHER ? ORDER_TRUSTED : ORDER_UNCHECKED;
    order->body = mem_alloc(body.length + 1);
    if (body.length > 0)
        memcpy(order->body, body.data, body.length);
    if (message_decode(type, slice_from(order->body, body.length), &order->message,
                       &order->refusal) != 0)
        return order;
    order->refusal.kind = ERR_NONE;
    order->head = message_head_of(type, &order->message);
    if (!is_well_formed(order) && order->refusal.kind == ERR_NONE)
        order_refuse(order, ERR_INVALID, "bad request to the keeper");
    if (order->refusal.kind == ERR_NONE && !may_say(order, sender))
        order_refuse(order, ERR_DENIED, "a worker speaks of hosted repositories alone");
    return order;
}

void order_free(struct order *order)
{
    buf_cleanup(&order->missing);
    mem_free(order->body);
    mem_free(order);
}
