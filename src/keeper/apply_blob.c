/* SPDX-License-Identifier: Apache-2.0 */
/* Orders about blobs: BLOB_STORED, BLOB_SUSPECTED, LINK and USED. */
#include "apply.h"
#include "base/fd.h"
#include "base/log.h"
#include "holdings.h"
#include "order.h"
#include "repeat.h"

#define REPEAT_BLOB                                                                                \
    (REPEAT_KIND(JOURNAL_BLOB) | REPEAT_KIND(JOURNAL_LINK) | REPEAT_KIND(JOURNAL_REMOVE_BLOB))

/* Whether the blob of a repeated order is here although the order's file is gone: the keeper that
 * died had placed it, and another push of the same bytes has replaced it since. */
static bool is_here(const struct apply *apply, const struct message_blob_stored *stored)
{
    struct blob_record blob;
    struct error ignored;
    AUTO_CLOSE int fd = -1;

    return blob_find(apply->txn, &stored->digest, &blob) && blob.size == stored->size &&
           store_blob_open(apply->store, &stored->digest, stored->size, &fd, NULL, &ignored) == 0;
}

static void put_blob(const struct apply *apply, const struct order *order)
{
    const struct message_blob_stored *stored = &order->message.blob_stored;
    struct blob_record old;
    bool was_here = blob_find(apply->txn, &stored->digest, &old);
    bool is_needed = was_here ? old.kept_since_ms == 0 : blob_is_needed(apply, &stored->digest);
    struct blob_record blob = {
        .size = stored->size,
        .is_public =
            (was_here && old.is_public) || (stored->is_public != 0 && stored->origin.length > 0),
        .kept_since_ms = is_needed ? 0 : apply->now_ms,
        .stored_ms = apply->now_ms,
        .where = BLOB_HERE,
    };

    if (order->placed.inode != 0) {
        blob.file = order->placed;
    } else if (was_here) { /* another order has placed the file */
        blob.file = old.file;
        blob.is_damaged = old.is_damaged;
    }
    blob_put(apply->txn, &stored->digest, &blob);
}

/* Only what is there now counts: the file may have been replaced since it was read. */
void apply_blob_suspected(const struct apply *apply, struct order *order)
{
    struct blob_record blob;
    struct store_blob found;
    struct error err;

    if (order->trust == ORDER_FAILED) {
        order_refuse(order, order->file_error.kind, "%s", order->file_error.text);
        return;
    }
    if (order->compared.inode == 0)
        return;
    if (!blob_find(apply->txn, &order->digest, &blob) ||
        store_blob_check(apply->store, &order->digest, blob.size, &found, &err) != 0 ||
        !file_identity_equal(&order->compared, &found.identity)) {
        order_refuse(order, ERR_NOT_FOUND, "the file that was compared is not here any more");
        return;
    }
    blob.file = order->compared;
    blob.is_damaged = order->is_wrong;
    blob_put(apply->txn, &order->digest, &blob);
}

bool apply_has_file(const struct apply *apply, const struct digest *digest,
                    const struct blob_record *record, struct error *err)
{
    struct store_blob found;
    int rc = store_blob_check(apply->store, digest, record->size, &found, err);

    if (rc == 0 && blob_trust(record, &found.identity) == BLOB_DAMAGED)
        rc = store_blob_refuse(apply->store, digest, err);
    return rc != -ERR_NOT_FOUND && rc != -ERR_CORRUPT;
}

void apply_log_damage(struct slice repository, const struct digest *digest, const struct error *err)
{
    struct log_line line;
    char text[DIGEST_TEXT_SIZE];

    log_begin(&line, LOG_ERROR);
    log_slice(&line, "repo", repository);
    log_text(&line, "digest", digest_print(digest, text));
    log_end(&line, "a stored file is damaged; the client is asked for its bytes: %s", err->text);
}

void apply_blob_stored(const struct apply *apply, struct order *order)
{
    const struct message_blob_stored *stored = &order->message.blob_stored;
    struct change change = {
        .kind = JOURNAL_BLOB,
        .origin = stored->origin,
        .repository = stored->repository,
        .digest = &stored->digest,
    };

    if (repeat_is_overtaken(apply, order, REPEAT_BLOB, &change))
        return;
    bool is_lost = order->file_error.kind != ERR_NONE || !order->has_file;
    if (order->trust == ORDER_FAILED ||
        (is_lost && !(order_is_repeated(order) && is_here(apply, stored)))) {
        order_refuse(order, order->has_file ? order->file_error.kind : ERR_INVALID, "%s",
                     order->has_file ? order->file_error.text : "no file is named");
        return;
    }
    put_blob(apply, order);
    if (stored->repository.length > 0) {
        struct holder holder;

        holder_get(apply, stored->origin, stored->repository, &holder);
        holder_add(apply, &holder, &stored->digest, stored->size, LINK_BLOB);
        holder_put(apply, &holder);
    }
    apply_journal(apply, order, &change);
}

/* A client was told that the blob is here: it may rely on that for `grace` from now on. */
static void renew(const struct apply *apply, const struct digest *digest, struct blob_record *blob)
{
    if (blob->kept_since_ms == 0)
        return;
    blob->kept_since_ms = apply->now_ms;
    blob_put(apply->txn, digest, blob);
}

void apply_link(const struct apply *apply, struct order *order)
{
    const struct message_link *link = &order->message.link;
    struct change change = {
        .kind = JOURNAL_LINK,
        .origin = link->origin,
        .repository = link->repository,
        .digest = &link->digest,
    };

    if (repeat_is_overtaken(apply, order, REPEAT_BLOB, &change))
        return;
    struct blob_record blob;
    if (!blob_find(apply->txn, &link->digest, &blob)) {
        order_refuse(order, ERR_NOT_FOUND, "the blob is not here");
        return;
    }
    struct error err;
    if (!apply_has_file(apply, &link->digest, &blob, &err)) {
        apply_log_damage(link->repository, &link->digest, &err);
        order_refuse(order, ERR_NOT_FOUND, "the blob is damaged");
        return;
    }
    renew(apply, &link->digest, &blob);
    struct holder holder;
    holder_get(apply, link->origin, link->repository, &holder);
    holder_add(apply, &holder, &link->digest, blob.size, LINK_BLOB);
    /* A hosted repository shows a manifest only by MANIFEST_PUT, which checks what it names. */
    if (link->origin.length > 0)
        (void)holder_add_known_manifest(apply, &holder, &link->digest);
    holder_put(apply, &holder);
    apply_journal(apply, order, &change);
}

void apply_used(const struct apply *apply, const struct order *order)
{
    struct slice digests = order->message.used.digests;
    uint64_t said = order->message.used.when;
    uint64_t when = said < apply->now_ms ? said : apply->now_ms; /* the future is never used last */
    struct digest digest;
    struct blob_record blob;

    while (digest_decode(&digests, &digest)) {
        if (blob_find(apply->txn, &digest, &blob) && use_find(apply->txn, &digest) < when)
            use_put(apply->txn, &digest, when);
    }
}
