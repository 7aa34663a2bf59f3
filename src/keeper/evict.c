/* SPDX-License-Identifier: Apache-2.0 */
/* See evict.h. What is chosen in a slice leaves the disk in the next ones, before more is chosen:
 * so the sums and the free space tell whether that was enough. */
#include "evict.h"

#include "apply.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "collect.h"
#include "config/config.h"
#include "holdings.h"
#include "ipc/metrics.h"
#include "oci/name.h"
#include "oci/reference_list.h"
#include "removal.h"
#include "rules/image.h"
#include "store/store.h"

#define CHUNK       32u  /* entries that are read at once */
#define LOOKED_MAX  512u /* entries in a slice */
#define IMAGES_MAX  16u  /* evicted in a slice */
#define HOLDERS_MAX 64u  /* repositories of one manifest that are looked at */
#define LOW_WATER_PART                                                                             \
    20u /* a limit is undercut by this part of it, so that it is not met each time */
#define RECENT_MS      (10ull * 60 * 1000)
#define REST_MS        5000u
#define SAY_MS         (60ull * 1000)
#define IMAGE_TEXT_MAX ((size_t)REGISTRY_MAX_LENGTH + NAME_MAX_LENGTH + DIGEST_TEXT_SIZE + 3)

/* ---- how much is too much ---- */

struct excess {
    uint64_t bytes;      /* to evict; 0: no limit is exceeded */
    const char *setting; /* that wants it */
    struct slice origin; /* the upstream whose limit it is; empty: any image will do */
};

/* Bytes above the limit; while evicting, above the low water. */
static uint64_t above(const struct evictor *evictor, uint64_t bytes, uint64_t limit)
{
    uint64_t low = limit - limit / LOW_WATER_PART;

    if (bytes <= (evictor->is_evicting ? low : limit))
        return 0;
    return bytes - low;
}

static void raise(struct excess *excess, uint64_t bytes, const char *setting)
{
    if (bytes <= excess->bytes)
        return;
    *excess = (struct excess){.bytes = bytes, .setting = setting, .origin = slice_of("")};
}

static bool add_bytes(struct slice name, const struct repository *repository, void *arg)
{
    (void)name;
    *(uint64_t *)arg += repository->bytes;
    return true;
}

static void judge_upstreams(const struct apply *apply, const struct evictor *evictor,
                            struct excess *excess)
{
    for (size_t i = 0; i < apply->config->upstream_count && excess->bytes == 0; i++) {
        const struct config_upstream *upstream = &apply->config->upstreams[i];
        uint64_t bytes = 0;

        if (upstream->cache_limit == 0)
            continue;
        repository_each(apply->txn, slice_of(upstream->name), slice_of(""), add_bytes, &bytes);
        bytes = above(evictor, bytes, upstream->cache_limit);
        if (bytes > 0)
            *excess = (struct excess){bytes, "cache_limit", slice_of(upstream->name)};
    }
}

static void judge(const struct apply *apply, const struct evictor *evictor, struct excess *excess)
{
    const struct config *config = apply->config;
    uint64_t spools = metrics_sum(METRIC_spool_bytes, ROLE_FETCHER);
    uint64_t free = 0;
    uint64_t total = 0;
    struct held held;
    struct error ignored;

    *excess = (struct excess){.bytes = 0};
    held_find(apply->txn, &held);
    metrics_set(METRIC_cached_bytes, held.cached_bytes);
    metrics_set(METRIC_held_bytes, held.bytes);
    bool has_space = store_space(apply->store, &free, &total, &ignored) == 0;
    if (config->storage.cache_limit != 0) {
        raise(excess, above(evictor, held.cached_bytes + spools, config->storage.cache_limit),
              "storage.cache_limit");
    } else if (has_space && config->storage.cache_limit_percent != 0) {
        uint64_t all = held.bytes + spools;
        uint64_t limit = (all + free) / 100 * config->storage.cache_limit_percent;

        raise(excess, above(evictor, all, limit), "storage.cache_limit");
    }
    if (has_space && free < config->storage.min_free)
        raise(excess, config->storage.min_free - free, "storage.min_free");
    if (held.cached_bytes == 0)
        excess->bytes = 0;
    judge_upstreams(apply, evictor, excess);
}

/* ---- which image ---- */

enum verdict {
    VERDICT_EVICTED,
    VERDICT_KEPT,    /* pinned, of another upstream: its entry stays, and others are looked at */
    VERDICT_NEWER,   /* a part of it was used later: its entry has moved */
    VERDICT_NOTHING, /* no image: its entry is dropped */
};

struct candidate {
    const struct apply *apply;
    const struct recent *entry;
    struct slice origin; /* only repositories of this upstream; empty: of any */
    uint32_t holders[HOLDERS_MAX];
    unsigned count;
    bool has_other; /* cached, but none of those that are looked for */
};

static bool on_holder(uint32_t repository, unsigned kinds, void *arg)
{
    struct candidate *candidate = arg;
    struct slice origin;
    struct slice name;

    if ((kinds & LINK_MANIFEST) == 0 ||
        !repository_name(candidate->apply->txn, repository, &origin, &name) || origin.length == 0)
        return true;
    if (candidate->origin.length > 0 && !slice_equal(candidate->origin, origin))
        candidate->has_other = true;
    else
        candidate->holders[candidate->count++] = repository;
    return candidate->count < HOLDERS_MAX;
}

/* Children are pulled by digest, and their index is not asked for each time. */
static uint64_t last_use(const struct candidate *candidate)
{
    struct manifest_record record;
    struct reference reference;
    uint64_t last_ms = candidate->entry->when_ms;

    if (!manifest_find(candidate->apply->txn, &candidate->entry->digest, &record))
        return last_ms;
    while (reference_list_next(&record.references, &reference)) {
        uint64_t used_ms = reference.role == DESCRIPTOR_CHILD
                               ? use_find(candidate->apply->txn, &reference.digest)
                               : 0;

        last_ms = used_ms > last_ms ? used_ms : last_ms;
    }
    return last_ms;
}

struct pin_search {
    const struct apply *apply;
    const struct holder *holder;
    bool is_found;
};

static bool is_pinned_as(struct pin_search *search, const char *mark, struct slice reference)
{
    AUTO_BUF struct buf image;

    buf_init(&image, IMAGE_TEXT_MAX);
    buf_printf(&image, "%.*s/%.*s%s%.*s", SLICE_PRINT(search->holder->origin),
               SLICE_PRINT(search->holder->name), mark, SLICE_PRINT(reference));
    search->is_found = search->is_found || pin_any(search->apply->txn, buf_bytes(&image));
    return search->is_found;
}

static bool on_pinned_tag(struct slice tag, void *arg)
{
    return !is_pinned_as(arg, ":", tag);
}

static bool is_pinned(const struct apply *apply, const struct holder *holder,
                      const struct digest *digest)
{
    struct pin_search search = {apply, holder, false};
    char text[DIGEST_TEXT_SIZE];

    if (!is_pinned_as(&search, "@", slice_of(digest_print(digest, text))))
        tag_each_of(apply->txn, holder->repository.id, digest, on_pinned_tag, &search);
    return search.is_found;
}

static enum verdict evict_from(const struct candidate *candidate, uint32_t repository)
{
    const struct apply *apply = candidate->apply;
    const struct digest *digest = &candidate->entry->digest;
    struct held_name held;
    struct holder holder;

    if (!holder_find_by_id(apply, repository, &held, &holder) ||
        !image_is_whole(apply->txn, repository, digest))
        return VERDICT_NOTHING;
    if (is_pinned(apply, &holder, digest))
        return VERDICT_KEPT;
    removal_take(apply, NULL, &holder, digest, false);
    holder_put(apply, &holder);
    return VERDICT_EVICTED;
}

static enum verdict try_evict(struct candidate *candidate)
{
    const struct apply *apply = candidate->apply;
    const struct recent *entry = candidate->entry;
    enum verdict verdict = VERDICT_NOTHING;

    link_each(apply->txn, &entry->digest, on_holder, candidate);
    uint64_t last_ms = last_use(candidate);
    if (candidate->count > 0 && last_ms > entry->when_ms) {
        use_put(apply->txn, &entry->digest, last_ms);
        return VERDICT_NEWER;
    }
    for (unsigned i = 0; i < candidate->count; i++) {
        enum verdict found = evict_from(candidate, candidate->holders[i]);

        if (found == VERDICT_EVICTED || verdict == VERDICT_NOTHING)
            verdict = found;
    }
    if (verdict == VERDICT_NOTHING && candidate->has_other)
        return VERDICT_KEPT;
    if (verdict == VERDICT_NOTHING)
        recent_drop(apply->txn, entry);
    return verdict;
}

/* ---- a slice ---- */

/* Bytes that have been chosen, and not yet left the disk. */
static uint64_t count_leaving(const struct apply *apply)
{
    struct due due[CHUNK * 4];
    size_t count = due_first(apply->txn, due, CHUNK * 4);
    uint64_t bytes = 0;

    for (size_t i = 0; i < count && due[i].since_ms <= DUE_AT_ONCE; i++) {
        struct blob_record blob;

        if (due[i].kind == DUE_BLOB && blob_find(apply->txn, &due[i].digest, &blob))
            bytes += blob.size;
    }
    return bytes;
}

static bool is_leaving(const struct apply *apply)
{
    struct due due;

    return due_first(apply->txn, &due, 1) == 1 && due.since_ms <= DUE_AT_ONCE;
}

static void log_trouble(const struct apply *apply, struct evictor *evictor,
                        const struct excess *excess, const char *text)
{
    struct log_line line;

    if (evictor->said_ms != 0 && apply->now_ms < evictor->said_ms + SAY_MS)
        return;
    evictor->said_ms = apply->now_ms;
    log_begin(&line, LOG_WARN);
    log_text(&line, "setting", excess->setting);
    if (excess->origin.length > 0)
        log_slice(&line, "upstream", excess->origin);
    log_u64(&line, "bytes", excess->bytes);
    log_end(&line, "%s", text);
}

static void log_end_of_run(const struct evictor *evictor)
{
    struct log_line line;

    if (evictor->images == 0)
        return;
    log_begin(&line, LOG_INFO);
    log_u64(&line, "images", evictor->images);
    log_end(&line, "cached images were evicted");
}

static void stop_evicting(struct evictor *evictor)
{
    log_end_of_run(evictor);
    evictor->is_evicting = false;
    evictor->has_after = false;
    evictor->has_loose_after = false;
    evictor->images = 0;
}

struct eviction { /* one slice */
    const struct apply *apply;
    struct evictor *evictor;
    const struct excess *excess;
    uint64_t before_ms; /* what was used before is too old in any case */
    bool is_enough;     /* what was chosen brings it below the low water */
    unsigned looked;
    unsigned images;
};

static bool is_too_old(const struct eviction *eviction, const struct recent *entry)
{
    return entry->when_ms < eviction->before_ms;
}

/* False: enough for this slice, or for good. */
static bool look_at(struct eviction *eviction, const struct recent *entry)
{
    const struct apply *apply = eviction->apply;
    struct candidate candidate = {.apply = apply, .entry = entry};

    if (!is_too_old(eviction, entry)) {
        if (eviction->excess->bytes == 0 || eviction->is_enough)
            return false;
        candidate.origin = eviction->excess->origin;
        if (entry->when_ms + RECENT_MS > apply->now_ms) {
            log_trouble(apply, eviction->evictor, eviction->excess,
                        "images that were pulled within the last ten minutes have to be evicted: "
                        "the limit is too small for what is pulled");
        }
    }
    eviction->looked++;
    enum verdict verdict = try_evict(&candidate);
    if (verdict == VERDICT_KEPT) {
        eviction->evictor->after = *entry;
        eviction->evictor->has_after = true;
    }
    if (verdict != VERDICT_EVICTED)
        return true;
    eviction->images++;
    eviction->evictor->images++;
    metrics_add(METRIC_evicted_images, 1);
    eviction->is_enough = count_leaving(apply) >= eviction->excess->bytes;
    return eviction->images < IMAGES_MAX;
}

/* ---- blobs that no manifest names ---- */

struct loose {
    uint32_t links[HOLDERS_MAX];
    unsigned count;
};

static bool on_loose_link(uint32_t repository, unsigned kinds, void *arg)
{
    struct loose *loose = arg;

    (void)kinds;
    loose->links[loose->count++] = repository;
    return loose->count < HOLDERS_MAX;
}

static void release_blob(const struct apply *apply, const struct digest *digest)
{
    struct loose loose = {.count = 0};
    struct blob_record blob;

    if (!blob_find(apply->txn, digest, &blob) || blob_is_needed(apply, digest) ||
        blob_is_hosted(apply->txn, digest))
        return;
    link_each(apply->txn, digest, on_loose_link, &loose);
    for (unsigned i = 0; i < loose.count; i++)
        link_release(apply->txn, loose.links[i], digest, DUE_AT_ONCE);
    blob_release(apply, digest);
}

/* True: there are no more of that age. */
static bool release_loose(struct eviction *eviction, uint64_t before_ms)
{
    struct evictor *evictor = eviction->evictor;
    struct due due[CHUNK];

    while (eviction->looked < LOOKED_MAX) {
        struct due from = evictor->loose_after;
        size_t count =
            due_after(eviction->apply->txn, evictor->has_loose_after ? &from : NULL, due, CHUNK);

        for (size_t i = 0; i < count; i++) {
            if (due[i].since_ms > before_ms)
                return true;
            eviction->looked++;
            evictor->loose_after = due[i];
            evictor->has_loose_after = true;
            if (due[i].kind == DUE_BLOB)
                release_blob(eviction->apply, &due[i].digest);
        }
        if (count < CHUNK)
            return true;
        if (count_leaving(eviction->apply) >= eviction->excess->bytes) {
            eviction->is_enough = true;
            return false;
        }
    }
    return false;
}

/* ---- images ---- */

/* True: the end of the order was reached. */
static bool evict_some(struct eviction *eviction)
{
    struct evictor *evictor = eviction->evictor;
    struct recent entries[CHUNK];
    uint64_t began_us = clock_mono_us();

    for (;;) {
        struct recent from = evictor->after;
        size_t count =
            recent_first(eviction->apply->txn, evictor->has_after ? &from : NULL, entries, CHUNK);

        for (size_t i = 0; i < count; i++) {
            if (eviction->looked >= LOOKED_MAX || clock_mono_us() - began_us > COLLECT_SLICE_US ||
                !look_at(eviction, &entries[i]))
                return false;
        }
        if (count < CHUNK)
            return true;
    }
}

/* True: nothing more may go. */
static bool choose(struct eviction *eviction)
{
    const struct apply *apply = eviction->apply;
    uint64_t before_ms = apply->now_ms > RECENT_MS ? apply->now_ms - RECENT_MS : 0;
    bool is_for_all = eviction->excess->bytes > 0 && eviction->excess->origin.length == 0;

    if (is_for_all && !release_loose(eviction, before_ms))
        return false;
    if (eviction->is_enough || is_leaving(apply))
        return false;
    if (!evict_some(eviction))
        return false;
    return !is_for_all || release_loose(eviction, UINT64_MAX);
}

static uint64_t oldest_allowed(const struct apply *apply)
{
    uint64_t age_ms = apply->config->storage.cache_max_age_ms;

    return age_ms < apply->now_ms ? apply->now_ms - age_ms : 0;
}

static bool has_too_old(const struct apply *apply, const struct evictor *evictor,
                        uint64_t before_ms)
{
    struct recent entry;
    struct recent from = evictor->after;

    return before_ms > 0 &&
           recent_first(apply->txn, evictor->has_after ? &from : NULL, &entry, 1) == 1 &&
           entry.when_ms < before_ms;
}

bool evict_slice(struct collecting *collecting, struct evictor *evictor)
{
    struct apply apply = *collecting->apply;
    struct excess excess;

    if (is_leaving(&apply))
        return collect_slice(collecting) || evictor->is_evicting;
    if (apply.now_ms < evictor->rests_until_ms)
        return false;
    judge(&apply, evictor, &excess);
    struct eviction eviction = {
        .apply = &apply,
        .evictor = evictor,
        .excess = &excess,
        .before_ms = oldest_allowed(&apply),
    };
    if (excess.bytes == 0 && !has_too_old(&apply, evictor, eviction.before_ms)) {
        stop_evicting(evictor);
        return false;
    }
    apply.is_at_once = true;
    evictor->is_evicting = true;
    if (!choose(&eviction) || is_leaving(&apply))
        return true;
    if (excess.bytes > 0) {
        log_trouble(
            &apply, evictor, &excess,
            "the limit cannot be kept: what is left was pushed here, is pinned, or is being "
            "downloaded");
        evictor->rests_until_ms = apply.now_ms + REST_MS;
    }
    stop_evicting(evictor);
    return false;
}
