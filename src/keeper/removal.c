/* SPDX-License-Identifier: Apache-2.0 */
/* See removal.h. Walks collect first, and change afterwards: what they read points into the map. */
#include "removal.h"

#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "base/buf.h"
#include "holdings.h"
#include "oci/name.h"
#include "oci/reference_list.h"
#include "order.h"
#include "rules/image.h"

#define NAMES_MAX   ((size_t)64 << 20) /* bytes of names of the tags of one manifest */
#define DIGESTS_MAX ((size_t)MANIFEST_MAX_DESCRIPTORS * 2 * DIGEST_BINARY_MAX)
#define PARENTS_MAX 1000u

struct manifest_removal {
    const struct apply *apply;
    const struct order *order; /* NULL: the collection does it */
    struct holder *holder;
    struct buf candidates; /* digests in binary: what perhaps nothing keeps any more */
    unsigned taken;
};

/* ---- collecting ---- */

static bool on_name(struct slice name, void *arg)
{
    struct buf *names = arg;

    buf_append_slice(names, name);
    buf_append_byte(names, ' ');
    return !names->is_over;
}

static bool on_digest(const struct digest *digest, unsigned kinds, void *arg)
{
    struct buf *digests = arg;
    uint8_t binary[DIGEST_BINARY_MAX];

    (void)kinds;
    buf_append(digests, binary, digest_encode(digest, binary));
    return !digests->is_over;
}

struct made_tags {      /* from a digest */
    struct slice start; /* sha256-HEX */
    struct buf *names;
};

static bool on_tag_after(struct slice name, const struct tag *tag, void *arg)
{
    const struct made_tags *made = arg;

    (void)tag;
    if (!slice_starts_with(name, made->start.data))
        return false;
    if (name.data[made->start.length] == '.')
        (void)on_name(name, made->names);
    return !made->names->is_over;
}

/* ---- what keeps a manifest ---- */

static bool is_shown(const struct apply *apply, uint32_t repository, const struct digest *digest)
{
    return (link_find(apply->txn, repository, digest) & LINK_MANIFEST) != 0;
}

static bool is_kept(const struct apply *apply, uint32_t repository, const struct digest *digest)
{
    return image_has_tag(apply->txn, repository, digest) ||
           image_is_part(apply->txn, repository, digest);
}

struct parents {
    const struct apply *apply;
    uint32_t repository;
    struct digest *out;
    unsigned looked;
    bool is_found;
};

static bool on_parent(const struct digest *digest, unsigned kinds, void *arg)
{
    struct parents *parents = arg;

    (void)kinds;
    parents->is_found = image_has_tag(parents->apply->txn, parents->repository, digest);
    *parents->out = *digest;
    return !parents->is_found && ++parents->looked < PARENTS_MAX;
}

static bool is_protected(const struct apply *apply, const struct holder *holder,
                         const struct digest *digest, struct digest *out_parent)
{
    struct parents parents = {apply, holder->repository.id, out_parent, 0, false};

    referred_each(apply->txn, holder->repository.id, digest, on_parent, &parents);
    return parents.is_found;
}

/* ---- taking ---- */

static void journal(const struct manifest_removal *removal, enum journal_kind kind,
                    struct slice tag, const struct digest *digest)
{
    struct change change = {.kind = kind,
                            .origin = removal->holder->origin,
                            .repository = removal->holder->name,
                            .tag = tag,
                            .digest = digest};

    apply_journal(removal->apply, removal->order, &change);
}

/* `named`: what they name may go as well. */
static void take_tags(struct manifest_removal *removal, struct slice names, struct buf *named)
{
    uint32_t id = removal->holder->repository.id;
    struct slice name;
    struct tag tag;

    while (slice_split(&names, ' ', &name)) {
        if (name.length == 0 || !tag_find(removal->apply->txn, id, name, &tag))
            continue;
        (void)tag_delete(removal->apply->txn, id, name);
        journal(removal, JOURNAL_REMOVE_TAG, name, &tag.digest);
        if (named)
            (void)on_digest(&tag.digest, LINK_MANIFEST, named);
    }
}

static void take_own_tags(struct manifest_removal *removal, const struct digest *digest)
{
    AUTO_BUF struct buf names;

    buf_init(&names, NAMES_MAX);
    tag_each_of(removal->apply->txn, removal->holder->repository.id, digest, on_name, &names);
    take_tags(removal, buf_bytes(&names), NULL);
}

static void take_made_tags(struct manifest_removal *removal, const struct digest *digest)
{
    uint32_t id = removal->holder->repository.id;
    char text[DIGEST_TEXT_SIZE];
    char start[DIGEST_TEXT_SIZE];
    AUTO_BUF struct buf names;
    struct tag tag;

    (void)digest_print(digest, text);
    (void)snprintf(start, sizeof(start), "%s", text);
    *strchr(start, ':') = '-';
    buf_init(&names, NAMES_MAX);
    if (tag_find(removal->apply->txn, id, slice_of(start), &tag))
        (void)on_name(slice_of(start), &names);
    struct made_tags made = {slice_of(start), &names};
    tag_each(removal->apply->txn, id, slice_of(start), on_tag_after, &made);
    take_tags(removal, buf_bytes(&names), &removal->candidates);
}

static void add_children(struct manifest_removal *removal, const struct digest *digest)
{
    struct manifest_record record;
    struct reference reference;

    if (!manifest_find(removal->apply->txn, digest, &record))
        return;
    while (reference_list_next(&record.references, &reference)) {
        if (reference.role == DESCRIPTOR_CHILD)
            (void)on_digest(&reference.digest, LINK_MANIFEST, &removal->candidates);
    }
}

static void take(struct manifest_removal *removal, const struct digest *digest, bool keeps_children)
{
    const struct apply *apply = removal->apply;

    removal->taken++;
    take_own_tags(removal, digest);
    take_made_tags(removal, digest);
    if (!keeps_children)
        add_children(removal, digest);
    referrer_each(apply->txn, removal->holder->repository.id, digest, NULL, on_digest,
                  &removal->candidates);
    (void)holder_drop_manifest(apply, removal->holder, digest);
    journal(removal, JOURNAL_REMOVE_MANIFEST, slice_from(NULL, 0), digest);
}

static void take_or_leave(struct manifest_removal *removal, const struct digest *digest)
{
    const struct apply *apply = removal->apply;
    struct due due = {.since_ms = DUE_AT_ONCE,
                      .kind = DUE_MANIFEST,
                      .repository = removal->holder->repository.id,
                      .digest = *digest};

    if (!is_shown(apply, due.repository, digest) || is_kept(apply, due.repository, digest))
        return;
    if (removal->taken < REMOVAL_MAX)
        take(removal, digest, false);
    else
        due_enter(apply->txn, &due);
}

/* Each manifest that goes may add candidates, which are then looked at in turn. */
static void take_candidates(struct manifest_removal *removal)
{
    size_t done = 0;

    while (done < removal->candidates.length && !ledger_error(removal->apply->txn)) {
        struct slice rest = slice_skip(buf_bytes(&removal->candidates), done);
        size_t before = rest.length;
        struct digest digest;

        if (!digest_decode(&rest, &digest))
            return;
        done += before - rest.length;
        take_or_leave(removal, &digest);
    }
}

void removal_take(const struct apply *apply, const struct order *order, struct holder *holder,
                  const struct digest *digest, bool keeps_children)
{
    struct manifest_removal removal = {.apply = apply, .order = order, .holder = holder};

    buf_init(&removal.candidates, REMOVAL_MAX * DIGESTS_MAX);
    take(&removal, digest, keeps_children);
    take_candidates(&removal);
    buf_cleanup(&removal.candidates);
}

void removal_order(const struct apply *apply, struct order *order, struct holder *holder,
                   const struct digest *digest, bool keeps_children)
{
    struct manifest_record manifest;
    struct digest parent;
    char text[DIGEST_TEXT_SIZE];

    if (!is_shown(apply, holder->repository.id, digest) ||
        !manifest_find(apply->txn, digest, &manifest)) {
        order_refuse(order, ERR_NOT_FOUND, "this repository has no such manifest");
    } else if (is_protected(apply, holder, digest, &parent)) {
        order_refuse(order, ERR_DENIED, "the image index %s, which has a tag, names it",
                     digest_print(&parent, text));
    } else {
        removal_take(apply, order, holder, digest, keeps_children);
        holder_put(apply, holder);
    }
}

void removal_take_due(const struct apply *apply, const struct due *due)
{
    struct manifest_removal removal = {.apply = apply};
    struct held_name held;
    struct holder holder;

    due_drop(apply->txn, due);
    if (!holder_find_by_id(apply, due->repository, &held, &holder))
        return;
    removal.holder = &holder;
    buf_init(&removal.candidates, REMOVAL_MAX * DIGESTS_MAX);
    take_or_leave(&removal, &due->digest);
    take_candidates(&removal);
    holder_put(apply, &holder);
    buf_cleanup(&removal.candidates);
}
