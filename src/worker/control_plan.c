/* SPDX-License-Identifier: Apache-2.0 */
/* See control_plan.h. Names are copied before a nested walk. */
#include "control_plan.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "oci/reference_list.h"
#include "rules/image.h"
#include "store/ledger.h"

#define PAIR_SIZE (4 + DIGEST_BINARY_MAX)

/* ---- patterns ---- */

struct pattern {
    struct slice repository;
    struct slice tag; /* a pattern; empty: none */
    struct digest digest;
    bool has_digest;
};

static int pattern_parse(const struct plan_wish *wish, struct slice text, struct pattern *out,
                         struct error *err)
{
    bool is_whole = wish->is_repository || wish->is_untagged || wish->is_release;
    ptrdiff_t at = slice_find(text, '@');
    ptrdiff_t slash = slice_find_last(text, '/');
    ptrdiff_t colon = slice_find_last(text, ':');

    *out = (struct pattern){.repository = text};
    if (at >= 0) {
        out->repository = slice_from(text.data, (size_t)at);
        out->has_digest = true;
        if (digest_parse(slice_skip(text, (size_t)at + 1), &out->digest, err) != 0)
            return error_wrap(err, "%.*s", SLICE_PRINT(text));
    } else if (colon > slash) {
        out->repository = slice_from(text.data, (size_t)colon);
        out->tag = slice_skip(text, (size_t)colon + 1);
    }
    bool has_reference = out->has_digest || out->tag.length > 0;
    if (out->repository.length == 0 || (has_reference && is_whole) ||
        (!has_reference && !is_whole)) {
        return error_set(err, ERR_INVALID,
                         "%.*s: write REPOSITORY:TAG or REPOSITORY@DIGEST (a tag may have *), or a "
                         "repository alone with `repository`, `untagged` or `release`",
                         SLICE_PRINT(text));
    }
    return 0;
}

/* ---- what is chosen ---- */

struct planning {
    const struct plan_wish *wish;
    struct ledger_txn *txn;
    struct plan *plan;
    struct map *removed;       /* u32 repository, digest → "": manifests that go */
    const struct pattern *now; /* the pattern that is matched */
    uint32_t repository;       /* in which is looked */
    char origin[REGISTRY_MAX_LENGTH + 1];
    char name[NAME_MAX_LENGTH + 1];
};

static void copy_text(char *out, size_t size, struct slice text)
{
    size_t length = text.length < size ? text.length : size - 1;

    if (length > 0)
        memcpy(out, text.data, length);
    out[length] = '\0';
}

static bool add_image(struct planning *planning, enum take_out_kind kind, struct slice tag,
                      const struct digest *digest)
{
    struct plan *plan = planning->plan;

    plan->has_more = plan->count == PLAN_IMAGES_MAX;
    if (plan->has_more)
        return false;
    struct plan_image *image = &plan->images[plan->count++];
    image->kind = kind;
    memcpy(image->origin, planning->origin, sizeof(image->origin));
    memcpy(image->repository, planning->name, sizeof(image->repository));
    copy_text(image->tag, sizeof(image->tag), tag);
    if (digest)
        image->digest = *digest;
    return true;
}

static bool on_plan_tag(struct slice tag, const struct tag *record, void *arg)
{
    struct planning *planning = arg;

    if (planning->now->tag.length > 0 && !text_matches(planning->now->tag, tag))
        return true;
    return add_image(planning, TAKE_OUT_TAG, tag, &record->digest);
}

static bool on_plan_link(const struct digest *digest, unsigned kinds, void *arg)
{
    struct planning *planning = arg;

    (void)kinds;
    if (image_has_tag(planning->txn, planning->repository, digest) ||
        !image_is_whole(planning->txn, planning->repository, digest))
        return true;
    return add_image(planning, TAKE_OUT_MANIFEST, slice_of(""), digest);
}

static bool on_plan_repository(struct slice origin, struct slice name,
                               const struct repository *repository, void *arg)
{
    struct planning *planning = arg;
    const struct plan_wish *wish = planning->wish;
    const struct pattern *pattern = planning->now;
    AUTO_BUF struct buf whole;

    buf_init(&whole, REGISTRY_MAX_LENGTH + NAME_MAX_LENGTH + 2);
    buf_printf(&whole, "%.*s%s%.*s", SLICE_PRINT(origin), origin.length > 0 ? "/" : "",
               SLICE_PRINT(name));
    if (!text_matches(pattern->repository, buf_bytes(&whole)))
        return true;
    copy_text(planning->origin, sizeof(planning->origin), origin);
    copy_text(planning->name, sizeof(planning->name), name);
    planning->repository = repository->id;
    if (pattern->has_digest &&
        (link_find(planning->txn, repository->id, &pattern->digest) & LINK_MANIFEST) != 0)
        (void)add_image(planning, TAKE_OUT_MANIFEST, slice_of(""), &pattern->digest);
    if (pattern->tag.length > 0 || wish->is_repository)
        tag_each(planning->txn, repository->id, slice_of(""), on_plan_tag, planning);
    if ((wish->is_untagged || wish->is_repository) && !planning->plan->has_more)
        link_each_in(planning->txn, repository->id, on_plan_link, planning);
    if (wish->is_release && origin.length == 0 && repository->is_hosted &&
        !planning->plan->has_more)
        (void)add_image(planning, TAKE_OUT_NAME, slice_of(""), NULL);
    return !planning->plan->has_more;
}

/* ---- what goes with it ---- */

static struct slice pair_key(uint32_t repository, const struct digest *digest,
                             uint8_t out[PAIR_SIZE])
{
    memcpy(out, &repository, sizeof(repository));
    return slice_from(out, sizeof(repository) + digest_encode(digest, out + sizeof(repository)));
}

static bool is_removed(const struct planning *planning, uint32_t repository,
                       const struct digest *digest)
{
    uint8_t key[PAIR_SIZE];

    return map_find(planning->removed, pair_key(repository, digest, key));
}

static void add_digest(struct buf *list, const struct digest *digest)
{
    uint8_t binary[DIGEST_BINARY_MAX];

    buf_append(list, binary, digest_encode(digest, binary));
}

struct other_reasons {
    const struct planning *planning;
    uint32_t repository;
    bool are_any;
};

static bool on_other_parent(const struct digest *parent, unsigned kinds, void *arg)
{
    struct other_reasons *other = arg;

    (void)kinds;
    other->are_any = !is_removed(other->planning, other->repository, parent);
    return !other->are_any;
}

/* Manifests of the repository that stay name it. */
static bool is_named_by_others(const struct planning *planning, uint32_t repository,
                               const struct digest *digest)
{
    struct other_reasons other = {planning, repository, false};

    referred_each(planning->txn, repository, digest, on_other_parent, &other);
    return other.are_any;
}

static bool on_plan_referrer(const struct digest *digest, unsigned kinds, void *arg)
{
    (void)kinds;
    add_digest(arg, digest);
    return true;
}

/* The manifest goes; what it was there for is looked at. */
static void remove_manifest_of(struct planning *planning, const struct digest *digest,
                               bool keeps_children, struct buf *candidates)
{
    struct manifest_record record;
    struct reference reference;
    uint8_t key[PAIR_SIZE];

    if (is_removed(planning, planning->repository, digest) ||
        !manifest_find(planning->txn, digest, &record))
        return;
    map_set(planning->removed, pair_key(planning->repository, digest, key), planning);
    planning->plan->manifests++;
    while (!keeps_children && reference_list_next(&record.references, &reference)) {
        if (reference.role == DESCRIPTOR_CHILD)
            add_digest(candidates, &reference.digest);
    }
    referrer_each(planning->txn, planning->repository, digest, NULL, on_plan_referrer, candidates);
}

static void remove_whole(struct planning *planning, const struct digest *digest)
{
    AUTO_BUF struct buf candidates;
    size_t done = 0;

    buf_init(&candidates, (size_t)64 << 20);
    remove_manifest_of(planning, digest, planning->wish->keeps_children, &candidates);
    while (done < buf_bytes(&candidates).length && !candidates.is_over) {
        struct slice rest = slice_skip(buf_bytes(&candidates), done);
        size_t before = rest.length;
        struct digest next;

        if (!digest_decode(&rest, &next))
            break;
        done += before - rest.length;
        if ((link_find(planning->txn, planning->repository, &next) & LINK_MANIFEST) != 0 &&
            !image_has_tag(planning->txn, planning->repository, &next) &&
            !is_named_by_others(planning, planning->repository, &next))
            remove_manifest_of(planning, &next, false, &candidates);
    }
}

/* Does a tag that stays name it? */
static bool on_kept_tag(struct slice tag, void *arg)
{
    struct planning *planning = arg;

    for (size_t i = 0; i < planning->plan->count; i++) {
        const struct plan_image *image = &planning->plan->images[i];

        if (image->kind == TAKE_OUT_TAG && slice_is(tag, image->tag) &&
            strcmp(image->repository, planning->name) == 0 &&
            strcmp(image->origin, planning->origin) == 0)
            return true;
    }
    planning->now = NULL; /* found */
    return false;
}

static void remove_tag_of(struct planning *planning, const struct plan_image *image)
{
    static const struct pattern mark;

    planning->now = &mark;
    tag_each_of(planning->txn, planning->repository, &image->digest, on_kept_tag, planning);
    if (planning->now && !is_named_by_others(planning, planning->repository, &image->digest))
        remove_whole(planning, &image->digest);
}

/* ---- bytes ---- */

struct counting {
    struct planning *planning;
    struct map *seen; /* digests */
    const struct digest *digest;
    bool is_needed;
};

static bool on_count_link(uint32_t repository, unsigned kinds, void *arg)
{
    struct counting *counting = arg;
    const struct planning *planning = counting->planning;

    counting->is_needed =
        ((kinds & LINK_MANIFEST) != 0 && !is_removed(planning, repository, counting->digest)) ||
        is_named_by_others(planning, repository, counting->digest);
    return !counting->is_needed;
}

static void count_blob(struct counting *counting, const struct digest *digest)
{
    struct blob_record blob;
    uint8_t binary[DIGEST_BINARY_MAX];
    struct slice key = slice_from(binary, digest_encode(digest, binary));

    if (map_find(counting->seen, key))
        return;
    map_set(counting->seen, key, counting);
    counting->digest = digest;
    counting->is_needed = false;
    if (!blob_find(counting->planning->txn, digest, &blob))
        return;
    link_each(counting->planning->txn, digest, on_count_link, counting);
    if (counting->is_needed)
        return;
    counting->planning->plan->blobs++;
    counting->planning->plan->bytes += blob.size;
}

static void count_manifest(struct slice key, void *value, void *arg)
{
    struct counting *counting = arg;
    struct slice rest = slice_skip(key, sizeof(uint32_t));
    struct manifest_record record;
    struct reference reference;
    struct digest digest;

    (void)value;
    if (!digest_decode(&rest, &digest) || !manifest_find(counting->planning->txn, &digest, &record))
        return;
    count_blob(counting, &digest);
    while (reference_list_next(&record.references, &reference))
        count_blob(counting, &reference.digest);
}

static void count(struct planning *planning)
{
    struct counting counting = {.planning = planning, .seen = map_new()};

    map_each(planning->removed, count_manifest, &counting);
    map_free(&counting.seen);
}

/* ---- all of it ---- */

static void follow_images(struct planning *planning)
{
    for (size_t i = 0; i < planning->plan->count; i++) {
        const struct plan_image *image = &planning->plan->images[i];
        struct repository repository;

        memcpy(planning->origin, image->origin, sizeof(planning->origin));
        memcpy(planning->name, image->repository, sizeof(planning->name));
        if (!repository_find(planning->txn, slice_of(image->origin), slice_of(image->repository),
                             &repository))
            continue;
        planning->repository = repository.id;
        if (image->kind == TAKE_OUT_TAG)
            remove_tag_of(planning, image);
        else if (image->kind == TAKE_OUT_MANIFEST)
            remove_whole(planning, &image->digest);
    }
    count(planning);
}

int plan_make(const struct plan_wish *wish, struct ledger_txn *txn, struct plan *out,
              struct error *err)
{
    struct planning planning = {.wish = wish, .txn = txn, .plan = out, .removed = map_new()};
    int rc = 0;

    out->images = mem_zalloc(PLAN_IMAGES_MAX, sizeof(*out->images));
    for (size_t i = 0; rc == 0 && i < wish->image_count && !out->has_more; i++) {
        struct pattern pattern;

        rc = pattern_parse(wish, wish->images[i], &pattern, err);
        planning.now = &pattern;
        if (rc == 0)
            repository_each_of_all(txn, slice_of(""), slice_of(""), on_plan_repository, &planning);
    }
    if (rc == 0)
        follow_images(&planning);
    map_free(&planning.removed);
    return rc;
}

void plan_cleanup(struct plan *plan)
{
    mem_free(plan->images);
    *plan = (struct plan){.images = NULL};
}
