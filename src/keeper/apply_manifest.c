/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders about manifests. What a pushed manifest names must be here; what a fetched one names is
 * fetched when a client asks for it.
 */
#include <string.h>

#include "apply.h"
#include "config/config.h"
#include "holdings.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"
#include "order.h"
#include "pushing.h"
#include "repeat.h"

static const struct slice hosted = {"", 0};

/* What MANIFEST_PUT and MANIFEST_STORED have in common. */
struct arrival {
    struct slice origin;
    struct slice repository;
    const struct digest *digest;
    bool is_public;
    struct manifest_record record;
    struct file_identity placed;
};

/* ---- the records of a manifest ---- */

/* The media type may differ: the record keeps the first, each repository's link has its own. */
static bool is_same(const struct manifest_record *a, const struct manifest_record *b)
{
    return slice_equal(a->artifact_type, b->artifact_type) && a->size == b->size &&
           slice_equal(a->references, b->references) && digest_equal(&a->subject, &b->subject) &&
           slice_equal(a->bytes, b->bytes);
}

static void put_records(const struct apply *apply, const struct arrival *arrival)
{
    struct blob_record blob = {.size = 0};
    struct manifest_record old;
    bool was_here = blob_find(apply->txn, arrival->digest, &blob);

    if (!manifest_find(apply->txn, arrival->digest, &old) || !is_same(&old, &arrival->record))
        manifest_put(apply->txn, arrival->digest, &arrival->record);
    if (was_here && blob.size == arrival->record.size && blob.kept_since_ms == 0 &&
        (blob.is_public || !arrival->is_public) &&
        (arrival->placed.inode == 0 || file_identity_equal(&arrival->placed, &blob.file)))
        return;
    struct blob_record before = blob;
    blob = (struct blob_record){
        .size = arrival->record.size,
        .is_public = arrival->is_public || (was_here && blob.is_public),
        .kept_since_ms = 0, /* the repository is about to show it */
        .stored_ms = apply->now_ms,
        .where = BLOB_HERE,
        .file = arrival->placed,
    };
    if (arrival->placed.inode == 0 && was_here) { /* it was here already */
        blob.file = before.file;
        blob.is_damaged = before.is_damaged;
    }
    blob_put(apply->txn, arrival->digest, &blob);
}

/* Without a file in the order, the manifest must be here already. */
static bool check_file(const struct apply *apply, struct order *order)
{
    struct blob_record blob;
    struct error err;

    if (order->has_file && order->file_error.kind == ERR_NONE)
        return true;
    if (order->trust != ORDER_FAILED && (!order->has_file || order_is_repeated(order)) &&
        blob_find(apply->txn, &order->digest, &blob) &&
        apply_has_file(apply, &order->digest, &blob, &err))
        return true;
    if (order->has_file || order->trust == ORDER_FAILED)
        order_refuse(order, order->file_error.kind, "%s", order->file_error.text);
    else
        order_refuse(order, ERR_NOT_FOUND, "the manifest is not here");
    return false;
}

/* ---- pushed ---- */

static bool is_told(const struct order *order, const struct digest *digest)
{
    struct slice told = buf_bytes(&order->missing);
    struct digest other;

    while (digest_decode(&told, &other)) {
        if (digest_equal(&other, digest))
            return true;
    }
    return false;
}

/* False: it was told before, or there are too many. */
static bool tell_missing(struct order *order, const struct digest *digest)
{
    uint8_t binary[DIGEST_BINARY_MAX];
    size_t length = digest_encode(digest, binary);

    if (is_told(order, digest) || order->missing.length + length > order->missing.maximum)
        return false;
    buf_append(&order->missing, binary, length);
    return true;
}

/* Whether this repository accepts a manifest without this reference. */
static bool may_be_missing(const struct apply *apply, const struct order *order,
                           const struct reference *reference)
{
    return reference->role == DESCRIPTOR_CHILD || reference->is_foreign ||
           config_list_matches(&apply->config->hosted.sparse,
                               order->message.manifest_put.repository);
}

/* A reference must be here in the size that the manifest says, unless it may be missing. */
static bool check_reference(const struct apply *apply, struct order *order,
                            const struct repository *repository, const struct reference *reference)
{
    bool is_child = reference->role == DESCRIPTOR_CHILD;
    unsigned kinds = !repository ? 0 : link_find(apply->txn, repository->id, &reference->digest);
    struct blob_record blob = {.size = UINT64_MAX};
    struct error err;
    bool is_linked = (kinds & (is_child ? LINK_MANIFEST : LINK_BLOB)) != 0;
    bool is_known = is_linked && blob_find(apply->txn, &reference->digest, &blob);

    if (!may_be_missing(apply, order, reference) &&
        !(is_known && apply_has_file(apply, &reference->digest, &blob, &err))) {
        if (tell_missing(order, &reference->digest) && is_known)
            apply_log_damage(order->message.manifest_put.repository, &reference->digest, &err);
        return true;
    }
    if (!is_known || blob.size == reference->size)
        return true;
    char text[DIGEST_TEXT_SIZE];
    order_refuse(order, ERR_INVALID, "%s has %llu bytes, the manifest says %llu",
                 digest_print(&reference->digest, text), (unsigned long long)blob.size,
                 (unsigned long long)reference->size);
    return false;
}

static bool check_references(const struct apply *apply, struct order *order)
{
    const struct message_manifest_put *put = &order->message.manifest_put;
    struct repository repository;
    bool is_there = repository_find(apply->txn, hosted, put->repository, &repository);
    struct slice references = put->references;
    struct reference reference;

    while (reference_list_next(&references, &reference)) {
        if (!check_reference(apply, order, is_there ? &repository : NULL, &reference))
            return false;
    }
    if (order->missing.length == 0)
        return true;
    order_refuse(order, ERR_NOT_FOUND, "blobs that the manifest names are not here");
    return false;
}

static void put_tag(const struct apply *apply, const struct order *order,
                    const struct holder *holder, struct slice name)
{
    const struct digest *digest = &order->message.manifest_put.digest;
    struct tag tag = {.digest = *digest, .changed_ms = apply->now_ms};
    struct tag old;

    if (tag_find(apply->txn, holder->repository.id, name, &old) &&
        digest_equal(&old.digest, digest))
        tag.changed_ms = old.changed_ms;
    tag_put(apply->txn, holder->repository.id, name, &tag);
    /* Also if the tag named this digest before: a repeated order looks for the entry. */
    struct change change = {
        .kind = JOURNAL_TAG, .repository = holder->name, .tag = name, .digest = digest};
    apply_journal(apply, order, &change);
}

/* Whether the tag was set or removed since the order was first sent. */
static bool is_tag_overtaken(const struct apply *apply, struct order *order, struct slice tag)
{
    struct change change = {.repository = order->message.manifest_put.repository, .tag = tag};

    return repeat_is_overtaken(apply, order,
                               REPEAT_KIND(JOURNAL_TAG) | REPEAT_KIND(JOURNAL_REMOVE_TAG), &change);
}

static bool is_all_overtaken(const struct apply *apply, struct order *order,
                             const struct change *manifest)
{
    unsigned kinds = REPEAT_KIND(JOURNAL_MANIFEST) | REPEAT_KIND(JOURNAL_REMOVE_MANIFEST);

    if (!repeat_is_overtaken(apply, order, kinds, manifest))
        return false;
    struct slice tags = order->message.manifest_put.tags;
    struct slice tag;
    while (slice_split(&tags, ' ', &tag)) {
        if (!is_tag_overtaken(apply, order, tag))
            return false;
    }
    return true;
}

static void put_pushed(const struct apply *apply, struct order *order, const struct change *change)
{
    const struct message_manifest_put *put = &order->message.manifest_put;
    struct arrival arrival = {
        .placed = order->placed,
        .repository = put->repository,
        .digest = &put->digest,
        .record = {.size = put->size,
                   .media_type = put->media_type,
                   .is_typed = put->is_typed != 0,
                   .artifact_type = put->artifact_type,
                   .subject = put->subject,
                   .references = put->references,
                   .bytes = put->body},
    };

    put_records(apply, &arrival);
    struct holder holder;
    holder_get(apply, hosted, put->repository, &holder);
    holder.is_changed = holder.is_changed || !holder.repository.is_hosted;
    holder.repository.is_hosted = true;
    holder_add_manifest(apply, &holder, &put->digest, &arrival.record);
    holder_put(apply, &holder);
    apply_journal(apply, order, change);
    struct slice tags = put->tags;
    struct slice tag;
    while (slice_split(&tags, ' ', &tag)) {
        if (!is_tag_overtaken(apply, order, tag))
            put_tag(apply, order, &holder, tag);
    }
}

/* The push had If-Match or If-None-Match: the tag must be as it was when the worker looked. */
static bool check_condition(const struct apply *apply, struct order *order)
{
    const struct message_manifest_put *put = &order->message.manifest_put;
    struct repository repository;
    struct tag tag = {.changed_ms = 0};

    if (put->is_conditional == 0)
        return true;
    bool is_there = repository_find(apply->txn, hosted, put->repository, &repository) &&
                    tag_find(apply->txn, repository.id, put->tags, &tag);
    bool is_expected = (unsigned)put->expected.algorithm != 0;
    if (is_there == is_expected && (!is_there || digest_equal(&tag.digest, &put->expected)))
        return true;
    order_refuse(order, ERR_CONFLICT, "the tag has changed meanwhile");
    return false;
}

void apply_manifest_put(const struct apply *apply, struct order *order)
{
    const struct message_manifest_put *put = &order->message.manifest_put;
    struct change change = {
        .kind = JOURNAL_MANIFEST, .repository = put->repository, .digest = &put->digest};

    if (is_all_overtaken(apply, order, &change))
        return;
    if (pushing_is_allowed(apply, order, put->repository) && check_condition(apply, order) &&
        check_file(apply, order) && check_references(apply, order))
        put_pushed(apply, order, &change);
}

/* ---- fetched ---- */

static void put_fetched_tag(const struct apply *apply, const struct order *order,
                            const struct holder *holder)
{
    const struct message_manifest_stored *stored = &order->message.manifest_stored;
    uint32_t id = holder->repository.id;
    struct tag tag = {stored->digest, apply->now_ms, stored->checked};
    struct tag old;
    bool was_there = tag_find(apply->txn, id, stored->tag, &old);

    if (was_there && old.checked_ms > stored->checked)
        return; /* a later answer of the upstream is known */
    bool is_same_digest = was_there && digest_equal(&old.digest, &stored->digest);
    if (is_same_digest)
        tag.changed_ms = old.changed_ms;
    tag_put(apply->txn, id, stored->tag, &tag);
    if (is_same_digest)
        return;
    struct change change = {.kind = JOURNAL_TAG,
                            .origin = stored->origin,
                            .repository = stored->repository,
                            .tag = stored->tag,
                            .digest = &stored->digest};
    apply_journal(apply, order, &change);
}

void apply_manifest_stored(const struct apply *apply, struct order *order)
{
    const struct message_manifest_stored *stored = &order->message.manifest_stored;

    if (!check_file(apply, order))
        return;
    struct arrival arrival = {
        .placed = order->placed,
        .origin = stored->origin,
        .repository = stored->repository,
        .digest = &stored->digest,
        .is_public = stored->is_public != 0,
        .record = {.size = stored->size,
                   .media_type = stored->media_type,
                   .is_typed = stored->is_typed != 0,
                   .artifact_type = stored->artifact_type,
                   .subject = stored->subject,
                   .references = stored->references,
                   .bytes = stored->body},
    };
    put_records(apply, &arrival);
    struct holder holder;
    holder_get(apply, stored->origin, stored->repository, &holder);
    bool was_shown =
        (link_find(apply->txn, holder.repository.id, &stored->digest) & LINK_MANIFEST) != 0;
    holder_add_manifest(apply, &holder, &stored->digest, &arrival.record);
    holder_put(apply, &holder);
    if (!was_shown) {
        struct change change = {.kind = JOURNAL_MANIFEST,
                                .origin = stored->origin,
                                .repository = stored->repository,
                                .digest = &stored->digest};

        apply_journal(apply, order, &change);
    }
    if (stored->tag.length > 0)
        put_fetched_tag(apply, order, &holder);
}
