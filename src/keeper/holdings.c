/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps links, counters, and the time since which a blob is not needed. */
#include "holdings.h"

#include <string.h>

#include "base/buf.h"
#include "oci/reference_list.h"

void holder_get(const struct apply *apply, struct slice origin, struct slice name,
                struct holder *out)
{
    *out = (struct holder){.origin = origin, .name = name};
    repository_get(apply->txn, origin, name, &out->repository);
}

bool holder_find(const struct apply *apply, struct slice origin, struct slice name,
                 struct holder *out)
{
    *out = (struct holder){.origin = origin, .name = name};
    return repository_find(apply->txn, origin, name, &out->repository);
}

bool holder_find_by_id(const struct apply *apply, uint32_t repository, struct held_name *name,
                       struct holder *out)
{
    struct slice origin;
    struct slice text;

    if (!repository_name(apply->txn, repository, &origin, &text) ||
        origin.length + text.length > sizeof(name->bytes))
        return false;
    if (origin.length > 0)
        memcpy(name->bytes, origin.data, origin.length);
    memcpy(name->bytes + origin.length, text.data, text.length);
    return holder_find(apply, slice_from(name->bytes, origin.length),
                       slice_from(name->bytes + origin.length, text.length), out);
}

void holder_put(const struct apply *apply, const struct holder *holder)
{
    if (holder->is_changed)
        repository_put(apply->txn, holder->origin, holder->name, &holder->repository);
}

static uint64_t released_since(const struct apply *apply)
{
    return apply->is_at_once ? DUE_AT_ONCE : apply->now_ms;
}

/* Something in the repository needs the link, or has not since now. */
static void judge_link(const struct apply *apply, uint32_t repository, const struct digest *digest)
{
    link_release(apply->txn, repository, digest,
                 link_is_needed(apply, repository, digest) ? 0 : released_since(apply));
}

void holder_add(const struct apply *apply, struct holder *holder, const struct digest *digest,
                uint64_t size, enum link_kind kind)
{
    uint32_t id = holder->repository.id;
    unsigned kinds = link_find(apply->txn, id, digest);

    if ((kinds & (unsigned)kind) == 0)
        link_put(apply->txn, id, digest, kinds | (unsigned)kind, slice_from(NULL, 0));
    judge_link(apply, id, digest);
    if (kinds != 0)
        return;
    holder->repository.bytes += size;
    holder->repository.links++;
    holder->is_changed = true;
}

void holder_drop(const struct apply *apply, struct holder *holder, const struct digest *digest,
                 enum link_kind kind)
{
    unsigned kinds = link_find(apply->txn, holder->repository.id, digest);
    unsigned left = kinds & ~(unsigned)kind;

    if (left != 0) {
        link_put(apply->txn, holder->repository.id, digest, left,
                 kind == LINK_MANIFEST ? slice_of("") : slice_from(NULL, 0));
        judge_link(apply, holder->repository.id, digest);
        return;
    }
    if (!link_delete(apply->txn, holder->repository.id, digest))
        return;
    struct blob_record blob;
    uint64_t size = blob_find(apply->txn, digest, &blob) ? blob.size : 0;
    struct repository *repository = &holder->repository;
    repository->bytes -= size < repository->bytes ? size : repository->bytes;
    repository->links -= repository->links > 0;
    holder->is_changed = true;
}

/* ---- who needs a blob ---- */

bool link_is_needed(const struct apply *apply, uint32_t repository, const struct digest *digest)
{
    return (link_find(apply->txn, repository, digest) & LINK_MANIFEST) != 0 ||
           referred_any(apply->txn, repository, digest);
}

static bool on_manifest_link(uint32_t repository, unsigned kinds, void *arg)
{
    (void)repository;
    bool *is_shown = arg;
    *is_shown = (kinds & LINK_MANIFEST) != 0;
    return !*is_shown;
}

static bool is_shown_as_manifest(const struct apply *apply, const struct digest *digest)
{
    bool is_shown = false;

    link_each(apply->txn, digest, on_manifest_link, &is_shown);
    return is_shown;
}

bool blob_is_needed(const struct apply *apply, const struct digest *digest)
{
    return referred_anywhere(apply->txn, digest) || is_shown_as_manifest(apply, digest);
}

/* The blob is needed from now on. */
static void blob_keep(const struct apply *apply, const struct digest *digest)
{
    struct blob_record blob;

    if (!blob_find(apply->txn, digest, &blob) || blob.kept_since_ms == 0)
        return;
    blob.kept_since_ms = 0;
    blob_put(apply->txn, digest, &blob);
}

struct promises {
    const struct apply *apply;
    const struct digest *digest;
    bool are_any;
};

static bool on_promising_link(uint32_t repository, unsigned kinds, void *arg)
{
    struct promises *promises = arg;

    (void)kinds;
    promises->are_any =
        link_released_ms(promises->apply->txn, repository, promises->digest) != DUE_AT_ONCE;
    return !promises->are_any;
}

/* A link is never released later than its blob: a repository whose clients were told that the blob
 * is here keeps it for its time. */
static bool is_promised(const struct apply *apply, const struct digest *digest)
{
    struct promises promises = {apply, digest, false};

    link_each(apply->txn, digest, on_promising_link, &promises);
    return promises.are_any;
}

void blob_release(const struct apply *apply, const struct digest *digest)
{
    struct blob_record blob;

    if (!blob_find(apply->txn, digest, &blob) || blob_is_needed(apply, digest))
        return;
    blob.kept_since_ms =
        apply->is_at_once && is_promised(apply, digest) ? apply->now_ms : released_since(apply);
    blob_put(apply->txn, digest, &blob);
}

/* ---- manifests ---- */

static bool has_subject(const struct manifest_record *record)
{
    return (unsigned)record->subject.algorithm != 0;
}

void holder_add_manifest(const struct apply *apply, struct holder *holder,
                         const struct digest *digest, const struct manifest_record *record)
{
    uint32_t id = holder->repository.id;
    struct slice media_type;
    unsigned kinds = link_find_typed(apply->txn, id, digest, &media_type);

    if ((kinds & LINK_MANIFEST) != 0 && slice_equal(media_type, record->media_type))
        return; /* and all that it names is as well */
    holder_add(apply, holder, digest, record->size, LINK_MANIFEST);
    link_put(apply->txn, id, digest, kinds | LINK_MANIFEST, record->media_type);
    if ((kinds & LINK_MANIFEST) != 0)
        return;
    blob_keep(apply, digest);
    struct slice references = record->references;
    struct reference reference;
    while (reference_list_next(&references, &reference)) {
        referred_put(apply->txn, id, &reference.digest, digest);
        link_release(apply->txn, id, &reference.digest, 0);
        blob_keep(apply, &reference.digest);
    }
    if (has_subject(record))
        referrer_put(apply->txn, id, &record->subject, digest);
    if (holder->origin.length > 0)
        recent_enter(apply->txn, digest, apply->now_ms);
}

/* Slices of a record point into the map, where writing may move them: *copy keeps their bytes. */
static bool find_manifest(const struct apply *apply, const struct digest *digest,
                          struct manifest_record *out, struct buf *copy)
{
    if (!manifest_find(apply->txn, digest, out))
        return false;
    size_t length = out->references.length;
    buf_init(copy, length + out->media_type.length + 1);
    buf_append_slice(copy, out->references);
    buf_append_slice(copy, out->media_type);
    out->references = slice_from(buf_bytes(copy).data, length);
    out->media_type = slice_skip(buf_bytes(copy), length);
    return true;
}

bool holder_add_known_manifest(const struct apply *apply, struct holder *holder,
                               const struct digest *digest)
{
    AUTO_BUF struct buf copy = {0};
    struct manifest_record record;

    if (!find_manifest(apply, digest, &record, &copy))
        return false;
    holder_add_manifest(apply, holder, digest, &record);
    return true;
}

bool holder_drop_manifest(const struct apply *apply, struct holder *holder,
                          const struct digest *digest)
{
    AUTO_BUF struct buf copy = {0};
    struct manifest_record record;

    if (!find_manifest(apply, digest, &record, &copy))
        return false;
    uint32_t id = holder->repository.id;
    struct slice references = record.references;
    struct reference reference;
    while (reference_list_next(&references, &reference))
        referred_delete(apply->txn, id, &reference.digest, digest);
    references = record.references;
    while (reference_list_next(&references, &reference)) {
        judge_link(apply, id, &reference.digest);
        blob_release(apply, &reference.digest);
    }
    if (has_subject(&record))
        referrer_delete(apply->txn, id, &record.subject, digest);
    holder_drop(apply, holder, digest, LINK_MANIFEST);
    blob_release(apply, digest);
    if (!is_shown_as_manifest(apply, digest))
        (void)manifest_delete(apply->txn, digest);
    return true;
}
