/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists come in pages. The cursor of a page is the place of its last entry, "ORIGIN NAME TAG"
 * without what an entry has not; for a client it is opaque.
 */
#include "control_lists.h"

#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/text.h"
#include "config/config.h"
#include "control.h"
#include "ipc/metrics.h"
#include "oci/name.h"
#include "oci/reference_list.h"
#include "request.h"
#include "rules/image.h"
#include "store/ledger.h"
#include "store/store.h"
#include "worker_state.h"

#define PLACE_MAX (REGISTRY_MAX_LENGTH + NAME_MAX_LENGTH + TAG_MAX_LENGTH + 3)

/* ---- names ---- */

/* "docker.io/library/nginx", and a hosted one as it was pushed. */
static void print_name(struct slice origin, struct slice name, struct buf *out)
{
    buf_append_slice(out, origin);
    if (origin.length > 0)
        buf_append_byte(out, '/');
    buf_append_slice(out, name);
}

static bool is_wanted(const struct control_task *task, struct slice origin, struct slice name)
{
    AUTO_BUF struct buf whole;

    buf_init(&whole, PLACE_MAX);
    if (!task->values[CONTROL_MATCH])
        return true;
    print_name(origin, name, &whole);
    return text_matches(slice_of(task->values[CONTROL_MATCH]), buf_bytes(&whole));
}

/* ---- pages ---- */

struct list_place {
    struct slice origin, name, tag; /* of the task's text */
};

struct listing_walk {
    struct control_task *task;
    struct jsonio_writer *json;
    struct list_place after;
    uint64_t count;
    char last[PLACE_MAX];
    bool has_more;
};

static void place_read(const struct control_task *task, struct list_place *out)
{
    struct slice rest = slice_of(task->values[CONTROL_AFTER]);

    *out = (struct list_place){.origin = slice_of("")};
    (void)(slice_split(&rest, ' ', &out->origin) && slice_split(&rest, ' ', &out->name));
    out->tag = rest;
}

static bool page_is_full(struct listing_walk *walk)
{
    walk->has_more = walk->count >= walk->task->limit;
    return walk->has_more;
}

static void page_count(struct listing_walk *walk, struct slice origin, struct slice name,
                       struct slice tag)
{
    walk->count++;
    (void)snprintf(walk->last, sizeof(walk->last), "%.*s %.*s %.*s", SLICE_PRINT(origin),
                   SLICE_PRINT(name), SLICE_PRINT(tag));
}

static void page_end(const struct listing_walk *walk)
{
    jsonio_put_end(walk->json);
    if (walk->has_more)
        jsonio_put_text(walk->json, "next", walk->last);
}

/* ---- /api/v1/repositories ---- */

static bool on_repository(struct slice origin, struct slice name,
                          const struct repository *repository, void *arg)
{
    struct listing_walk *walk = arg;

    if (!is_wanted(walk->task, origin, name))
        return true;
    if (page_is_full(walk))
        return false;
    jsonio_put_object(walk->json, NULL);
    jsonio_put_string(walk->json, "name", name);
    jsonio_put_string(walk->json, "origin", origin);
    jsonio_put_bool(walk->json, "hosted", repository->is_hosted);
    jsonio_put_u64(walk->json, "bytes", repository->bytes);
    jsonio_put_u64(walk->json, "links", repository->links);
    jsonio_put_end(walk->json);
    page_count(walk, origin, name, slice_of(""));
    return true;
}

static void print_repositories(struct control_task *task, struct jsonio_writer *json)
{
    struct listing_walk walk = {.task = task, .json = json};

    place_read(task, &walk.after);
    jsonio_put_array(json, "repositories");
    repository_each_of_all(task->txn, walk.after.origin, walk.after.name, on_repository, &walk);
    page_end(&walk);
}

void control_repositories(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request->outcome = "listed";
    control_read(request, CONTROL_PAGE, print_repositories);
}

/* ---- /api/v1/images ---- */

#define CHILDREN_DEPTH 3u /* an index in an index in an index */

/* What the image takes alone on an empty disk: layers that it names twice count twice. */
static uint64_t image_bytes(struct ledger_txn *txn, const struct manifest_record *record,
                            unsigned depth)
{
    uint64_t bytes = record->size;
    struct slice list = record->references;
    struct reference reference;
    struct manifest_record child;

    while (reference_list_next(&list, &reference)) {
        if (reference.is_foreign || reference.size == DESCRIPTOR_SIZE_UNKNOWN)
            continue;
        if (reference.role != DESCRIPTOR_CHILD)
            bytes += reference.size;
        else if (depth > 0 && manifest_find(txn, &reference.digest, &child))
            bytes += image_bytes(txn, &child, depth - 1);
    }
    return bytes;
}

struct image_walk {
    struct listing_walk *page;
    struct slice origin, name;
    const struct repository *repository;
};

/* False: the page is full. */
static bool print_image(struct image_walk *walk, struct slice tag, const struct digest *digest,
                        uint64_t changed_ms)
{
    struct listing_walk *page = walk->page;
    struct ledger_txn *txn = page->task->txn;
    struct jsonio_writer *json = page->json;
    struct manifest_record record;
    char text[DIGEST_TEXT_SIZE];
    char place[DIGEST_TEXT_SIZE + 1];

    if (page_is_full(page))
        return false;
    bool is_here = manifest_find_in(txn, walk->repository->id, digest, &record);
    uint64_t used_ms = use_find(txn, digest);
    jsonio_put_object(json, NULL);
    jsonio_put_string(json, "repository", walk->name);
    jsonio_put_string(json, "origin", walk->origin);
    if (tag.length > 0)
        jsonio_put_string(json, "tag", tag);
    jsonio_put_text(json, "digest", digest_print(digest, text));
    if (is_here) {
        jsonio_put_string(json, "media_type", record.media_type);
        jsonio_put_u64(json, "bytes", image_bytes(txn, &record, CHILDREN_DEPTH));
    }
    if (changed_ms != 0)
        jsonio_put_time(json, "changed", (struct walltime){changed_ms});
    if (used_ms != 0)
        jsonio_put_time(json, "last_used", (struct walltime){used_ms});
    jsonio_put_end(json);
    (void)snprintf(place, sizeof(place), "@%s", text);
    page_count(page, walk->origin, walk->name, tag.length > 0 ? tag : slice_of(place));
    return true;
}

static bool on_image_tag(struct slice tag, const struct tag *record, void *arg)
{
    return print_image(arg, tag, &record->digest, record->changed_ms);
}

/* Images without a tag: their children and signatures are not listed. */
static bool on_image_link(const struct digest *digest, unsigned kinds, void *arg)
{
    struct image_walk *walk = arg;
    struct ledger_txn *txn = walk->page->task->txn;
    uint32_t id = walk->repository->id;

    (void)kinds;
    return image_has_tag(txn, id, digest) || !image_is_whole(txn, id, digest) ||
           print_image(walk, slice_of(""), digest, 0);
}

static void print_images_of(struct image_walk *walk, struct slice after)
{
    struct ledger_txn *txn = walk->page->task->txn;
    struct digest digest;
    struct error ignored;
    bool is_digest =
        slice_starts_with(after, "@") && digest_parse(slice_skip(after, 1), &digest, &ignored) == 0;

    if (!is_digest)
        tag_each(txn, walk->repository->id, after, on_image_tag, walk);
    if (!walk->page->has_more)
        link_each_after(txn, walk->repository->id, is_digest ? &digest : NULL, on_image_link, walk);
}

static bool on_image_repository(struct slice origin, struct slice name,
                                const struct repository *repository, void *arg)
{
    struct listing_walk *page = arg;
    struct image_walk walk = {page, origin, name, repository};

    if (is_wanted(page->task, origin, name))
        print_images_of(&walk, slice_of(""));
    return !page->has_more;
}

static void print_images(struct control_task *task, struct jsonio_writer *json)
{
    struct listing_walk page = {.task = task, .json = json};
    struct repository repository;

    place_read(task, &page.after);
    jsonio_put_array(json, "images");
    if (page.after.tag.length > 0 &&
        repository_find(task->txn, page.after.origin, page.after.name, &repository)) {
        struct image_walk walk = {&page, page.after.origin, page.after.name, &repository};

        print_images_of(&walk, page.after.tag);
    }
    if (!page.has_more) {
        repository_each_of_all(task->txn, page.after.origin, page.after.name, on_image_repository,
                               &page);
    }
    page_end(&page);
}

void control_images(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request->outcome = "listed";
    control_read(request, CONTROL_PAGE, print_images);
}

/* ---- /api/v1/status ---- */

static void print_process(enum process_role role, struct jsonio_writer *json)
{
    uint64_t beat = metrics_sum(METRIC_heartbeat_ms, role);

    jsonio_put_object(json, NULL);
    jsonio_put_text(json, "role", process_role_name(role));
    jsonio_put_bool(json, "answers", beat != 0 && clock_mono().ms <= beat + HEARTBEAT_LATE_MS);
    jsonio_put_end(json);
}

static void print_storage(struct control_task *task, struct jsonio_writer *json)
{
    const struct config *config = task->config;
    uint64_t free = 0;
    uint64_t total = 0;

    jsonio_put_object(json, "storage");
    jsonio_put_text(json, "path", config->storage.path);
    if (store_space(task->worker->options.store, &free, &total, &task->err) == 0) {
        jsonio_put_u64(json, "total_bytes", total);
        jsonio_put_u64(json, "free_bytes", free);
    }
    jsonio_put_u64(json, "grace_seconds", config->storage.grace_ms / 1000);
    jsonio_put_end(json);
}

static uint64_t count(enum metric metric)
{
    return metrics_sum(metric, ROLE_WORKER);
}

static void print_status(struct control_task *task, struct jsonio_writer *json)
{
    uint64_t commit = 0;

    jsonio_put_text(json, "version", task->worker->options.version);
    jsonio_put_time(json, "now", clock_wall());
    jsonio_put_array(json, "processes");
    print_process(ROLE_KEEPER, json);
    print_process(ROLE_FETCHER, json);
    jsonio_put_end(json);
    print_storage(task, json);
    if (ledger_commit_number(task->txn, &commit, &task->err) == 0)
        jsonio_put_u64(json, "commits", commit);
    jsonio_put_object(json, "since_start");
    jsonio_put_u64(json, "requests", count(METRIC_requests));
    jsonio_put_u64(json, "requests_failed", count(METRIC_requests_failed));
    jsonio_put_u64(json, "hits", count(METRIC_hits));
    jsonio_put_u64(json, "misses", count(METRIC_misses));
    jsonio_put_u64(json, "pushes", count(METRIC_pushes));
    jsonio_put_end(json);
    jsonio_put_u64(json, "connections", count(METRIC_connections));
}

void control_status(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request->outcome = "status";
    control_read(request, 0, print_status);
}

/* ---- /api/v1/pins ---- */

static bool on_pin(struct slice image, struct slice set, void *arg)
{
    struct listing_walk *walk = arg;

    if (page_is_full(walk))
        return false;
    jsonio_put_object(walk->json, NULL);
    jsonio_put_string(walk->json, "set", set);
    jsonio_put_string(walk->json, "image", image);
    jsonio_put_end(walk->json);
    page_count(walk, image, set, slice_of(""));
    return true;
}

static void print_pins(struct control_task *task, struct jsonio_writer *json)
{
    struct listing_walk walk = {.task = task, .json = json};

    place_read(task, &walk.after); /* of a pin: the image, then its set */
    jsonio_put_array(json, "pins");
    pin_each(task->txn, walk.after.origin, walk.after.name, on_pin, &walk);
    page_end(&walk);
}

void control_pins(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request->outcome = "listed";
    control_read(request, CONTROL_BIT(AFTER) | CONTROL_BIT(LIMIT), print_pins);
}

/* ---- /api/v1/usage ---- */

struct usage_walk {
    struct listing_walk *page;
    struct ledger_txn *txn;
    uint64_t own_bytes;
    unsigned holders; /* of one blob */
};

static bool on_usage_holder(uint32_t repository, unsigned kinds, void *arg)
{
    struct usage_walk *walk = arg;

    (void)repository;
    (void)kinds;
    return ++walk->holders < 2;
}

static bool on_usage_link(const struct digest *digest, unsigned kinds, void *arg)
{
    struct usage_walk *walk = arg;
    struct blob_record blob;

    (void)kinds;
    walk->holders = 0;
    link_each(walk->txn, digest, on_usage_holder, walk);
    if (walk->holders == 1 && blob_find(walk->txn, digest, &blob))
        walk->own_bytes += blob.size;
    return true;
}

static bool on_usage_repository(struct slice origin, struct slice name,
                                const struct repository *repository, void *arg)
{
    struct listing_walk *page = arg;
    struct usage_walk walk = {.page = page, .txn = page->task->txn};

    if (!is_wanted(page->task, origin, name))
        return true;
    if (page_is_full(page))
        return false;
    link_each_in(page->task->txn, repository->id, on_usage_link, &walk);
    jsonio_put_object(page->json, NULL);
    jsonio_put_string(page->json, "name", name);
    jsonio_put_string(page->json, "origin", origin);
    jsonio_put_u64(page->json, "bytes", repository->bytes);
    jsonio_put_u64(page->json, "own_bytes", walk.own_bytes);
    jsonio_put_end(page->json);
    page_count(page, origin, name, slice_of(""));
    return true;
}

struct origin_sum {
    char origin[REGISTRY_MAX_LENGTH + 1];
    bool is_begun;
    uint64_t bytes;
    uint64_t repositories;
    struct jsonio_writer *json;
};

static void print_origin(struct origin_sum *sum)
{
    if (!sum->is_begun)
        return;
    jsonio_put_object(sum->json, NULL);
    jsonio_put_text(sum->json, "origin", sum->origin);
    jsonio_put_u64(sum->json, "repositories", sum->repositories);
    jsonio_put_u64(sum->json, "bytes", sum->bytes);
    jsonio_put_end(sum->json);
}

/* The repositories come origin by origin. */
static bool on_usage_origin(struct slice origin, struct slice name,
                            const struct repository *repository, void *arg)
{
    struct origin_sum *sum = arg;

    (void)name;
    if (!sum->is_begun || !slice_is(origin, sum->origin)) {
        print_origin(sum);
        sum->is_begun = true;
        sum->bytes = 0;
        sum->repositories = 0;
        (void)snprintf(sum->origin, sizeof(sum->origin), "%.*s", SLICE_PRINT(origin));
    }
    sum->bytes += repository->bytes;
    sum->repositories++;
    return true;
}

static void print_usage_of_upstreams(struct control_task *task, struct jsonio_writer *json)
{
    struct origin_sum sum = {.json = json};

    jsonio_put_array(json, "usage");
    repository_each_of_all(task->txn, slice_of(""), slice_of(""), on_usage_origin, &sum);
    print_origin(&sum);
    jsonio_put_end(json);
}

static bool on_usage_holder_name(uint32_t repository, unsigned kinds, void *arg)
{
    struct usage_walk *walk = arg;
    struct slice origin;
    struct slice name;

    if ((kinds & LINK_MANIFEST) == 0 || !repository_name(walk->txn, repository, &origin, &name) ||
        origin.length == 0)
        return true;
    jsonio_put_object(walk->page->json, NULL);
    jsonio_put_string(walk->page->json, "name", name);
    jsonio_put_string(walk->page->json, "origin", origin);
    jsonio_put_end(walk->page->json);
    return true;
}

/* What goes next, when something has to: the order of the keeper. */
static void print_usage_of_next(struct control_task *task, struct jsonio_writer *json)
{
    struct listing_walk page = {.task = task, .json = json};
    struct usage_walk walk = {.page = &page, .txn = task->txn};
    struct recent entries[CONTROL_LIMIT_DEFAULT];
    size_t count = recent_first(task->txn, NULL, entries, CONTROL_LIMIT_DEFAULT);

    jsonio_put_array(json, "usage");
    for (size_t i = 0; i < count && i < task->limit; i++) {
        struct manifest_record record;
        char text[DIGEST_TEXT_SIZE];

        jsonio_put_object(json, NULL);
        jsonio_put_text(json, "digest", digest_print(&entries[i].digest, text));
        jsonio_put_time(json, "last_used", (struct walltime){entries[i].when_ms});
        if (manifest_find(task->txn, &entries[i].digest, &record))
            jsonio_put_u64(json, "bytes", image_bytes(task->txn, &record, CHILDREN_DEPTH));
        jsonio_put_array(json, "repositories");
        link_each(task->txn, &entries[i].digest, on_usage_holder_name, &walk);
        jsonio_put_end(json);
        jsonio_put_end(json);
    }
    jsonio_put_end(json);
}

static void print_usage(struct control_task *task, struct jsonio_writer *json)
{
    struct listing_walk page = {.task = task, .json = json};
    struct slice by = slice_of(task->values[CONTROL_BY]);
    struct held held;

    held_find(task->txn, &held);
    jsonio_put_object(json, "total");
    jsonio_put_u64(json, "blobs", held.blobs);
    jsonio_put_u64(json, "bytes", held.bytes);
    jsonio_put_u64(json, "cached_bytes", held.cached_bytes);
    jsonio_put_u64(json, "spool_bytes", metrics_sum(METRIC_spool_bytes, ROLE_FETCHER));
    jsonio_put_end(json);
    if (by.length == 0 || slice_is(by, "upstream")) {
        print_usage_of_upstreams(task, json);
    } else if (slice_is(by, "next")) {
        print_usage_of_next(task, json);
    } else if (slice_is(by, "repository")) {
        place_read(task, &page.after);
        jsonio_put_array(json, "usage");
        repository_each_of_all(task->txn, page.after.origin, page.after.name, on_usage_repository,
                               &page);
        page_end(&page);
    } else {
        (void)error_set(&task->err, ERR_INVALID, "by= must be upstream, repository or next");
    }
}

void control_usage(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request->outcome = "usage";
    control_read(request, CONTROL_PAGE | CONTROL_BIT(BY), print_usage);
}
