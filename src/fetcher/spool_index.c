/* SPDX-License-Identifier: Apache-2.0 */
/* See spool_index.h. */
#include "spool_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pool.h"
#include "config/config.h"
#include "net/loop.h"
#include "role.h"
#include "store/store.h"

#define KEPT_MS       (24ul * 3600 * 1000)
#define LOOK_EVERY_MS (3600ul * 1000)
#define SPOOLS_MAX    10000u
#define FOUND_MAX     (64ul * 1024 * 1024) /* bytes of the list that a scan makes */

struct spool_index {
    struct fetcher *fetcher;
    struct timer *timer;   /* removes what is too old, once an hour */
    struct map *spools;    /* binary digest → struct leftover */
    struct list by_age;    /* the same, the oldest first */
    uint64_t bytes;        /* of all of them */
    struct pool_work scan; /* while it runs, only it uses `found` */
    struct buf found;      /* an array of struct found */
    struct error scan_error;
    struct pool_work sweep;
    bool is_sweeping;
    void (*on_scanned)(struct fetcher *fetcher);
};

struct leftover {
    struct list link;
    struct digest digest;
    unsigned take;
    uint64_t bytes;
    struct monotime since; /* when it entered the index */
};

struct found {
    struct digest digest;
    unsigned take;
    uint64_t bytes;
    uint64_t modified_ms;
};

struct spool_removal {
    struct pool_work work;
    struct fetcher *fetcher;
    char name[STORE_NAME_SIZE];
};

/* ---- removing files ---- */

static void remove_file(struct fetcher *fetcher, const char *name)
{
    struct error ignored; /* the next scan finds the file again */

    store_file_remove(fetcher->options.store, PLACE_SPOOL, name, &ignored);
}

static void run_removal(struct pool_work *work)
{
    struct spool_removal *removal = LIST_ITEM(work, struct spool_removal, work);

    remove_file(removal->fetcher, removal->name);
}

static void on_removed(struct pool_work *work)
{
    struct spool_removal *removal = LIST_ITEM(work, struct spool_removal, work);

    fetcher_work_ended(removal->fetcher);
    mem_free(removal);
}

static void remove_take(struct spool_index *index, const struct digest *digest, unsigned take)
{
    struct spool_removal *removal = NEW(struct spool_removal);

    removal->fetcher = index->fetcher;
    removal->work = (struct pool_work){.run = run_removal, .done = on_removed};
    store_spool_name(digest, take, removal->name);
    fetcher_submit(index->fetcher, &removal->work);
}

/* ---- the index ---- */

static struct leftover *find_leftover(const struct spool_index *index, const struct digest *digest)
{
    uint8_t key[DIGEST_BINARY_MAX];

    return map_find(index->spools, slice_from(key, digest_encode(digest, key)));
}

static void forget_leftover(struct spool_index *index, struct leftover *spool)
{
    uint8_t key[DIGEST_BINARY_MAX];

    map_remove(index->spools, slice_from(key, digest_encode(&spool->digest, key)));
    list_remove(&spool->link);
    index->bytes -= spool->bytes;
    fetcher_count_spool(index->fetcher, spool->bytes, 0);
    mem_free(spool);
}

static void add_leftover(struct spool_index *index, const struct digest *digest, unsigned take,
                         uint64_t bytes)
{
    uint8_t key[DIGEST_BINARY_MAX];
    struct leftover *spool = find_leftover(index, digest);

    if (spool && spool->take >= take) {
        if (spool->take > take)
            remove_take(index, digest, take);
        return;
    }
    if (spool) {
        remove_take(index, digest, spool->take);
        forget_leftover(index, spool);
    }
    spool = NEW(struct leftover);
    spool->digest = *digest;
    spool->take = take;
    spool->bytes = bytes;
    spool->since = clock_mono();
    index->bytes += bytes;
    fetcher_count_spool(index->fetcher, 0, bytes);
    list_append(&index->by_age, &spool->link);
    map_set(index->spools, slice_from(key, digest_encode(digest, key)), spool);
}

static void drop_oldest(struct spool_index *index)
{
    struct leftover *spool = LIST_ITEM(index->by_age.next, struct leftover, link);

    remove_take(index, &spool->digest, spool->take);
    forget_leftover(index, spool);
}

static void keep_limits(struct spool_index *index)
{
    uint64_t limit = index->fetcher->config->fetch.partial_limit;
    unsigned dropped = 0;

    for (; index->bytes > limit || map_count(index->spools) > SPOOLS_MAX; dropped++)
        drop_oldest(index);
    if (dropped > 0) {
        log_say(LOG_INFO,
                "%u unfinished downloads were given up: more than `fetch.partial_limit` (%llu "
                "bytes), or than %u",
                dropped, (unsigned long long)limit, SPOOLS_MAX);
    }
}

void spool_index_add(struct spool_index *index, const struct digest *digest, unsigned take,
                     uint64_t bytes)
{
    add_leftover(index, digest, take, bytes);
    keep_limits(index);
}

bool spool_index_find(const struct spool_index *index, const struct digest *digest,
                      unsigned *out_take)
{
    const struct leftover *spool = find_leftover(index, digest);

    if (spool)
        *out_take = spool->take;
    return spool;
}

void spool_index_take(struct spool_index *index, const struct digest *digest)
{
    struct leftover *spool = find_leftover(index, digest);

    CHECK(spool);
    forget_leftover(index, spool);
}

void spool_index_shrink(struct spool_index *index, uint64_t bytes)
{
    uint64_t before = index->bytes;

    while (!list_is_empty(&index->by_age) && before - index->bytes < bytes)
        drop_oldest(index);
    if (index->bytes != before) {
        log_say(LOG_WARN, "the disk is full: %llu bytes of unfinished downloads were given up",
                (unsigned long long)(before - index->bytes));
    }
}

/* ---- the scan ---- */

/* A manifest that was written for the keeper. One so old will never be placed. */
static void remove_old_temporary(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    struct spool_index *index = arg;
    uint64_t now_ms = clock_wall().ms;
    struct digest digest;
    unsigned take;

    (void)size;
    if (now_ms > modified_ms && now_ms - modified_ms > STORE_TEMPORARY_KEPT_MS &&
        !store_spool_parse(name, &digest, &take))
        remove_file(index->fetcher, name);
}

static void on_spool_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    struct spool_index *index = arg;
    uint64_t now_ms = clock_wall().ms;
    uint64_t age_ms = now_ms > modified_ms ? now_ms - modified_ms : 0;
    struct found found;

    memset(&found, 0, sizeof(found));
    if (!store_spool_parse(name, &found.digest, &found.take)) {
        remove_old_temporary(name, size, modified_ms, index);
        return;
    }
    found.bytes = size;
    found.modified_ms = modified_ms;
    if (age_ms > KEPT_MS || size == 0 || index->found.length + sizeof(found) > FOUND_MAX)
        remove_file(index->fetcher, name);
    else
        buf_append(&index->found, &found, sizeof(found));
}

static int compare_age(const void *one, const void *other)
{
    const struct found *a = one;
    const struct found *b = other;

    return (a->modified_ms > b->modified_ms) - (a->modified_ms < b->modified_ms);
}

static void run_scan(struct pool_work *work)
{
    struct spool_index *index = LIST_ITEM(work, struct spool_index, scan);

    store_file_each(index->fetcher->options.store, PLACE_SPOOL, on_spool_file, index,
                    &index->scan_error);
}

static void on_scan_done(struct pool_work *work)
{
    struct spool_index *index = LIST_ITEM(work, struct spool_index, scan);
    struct slice rest = buf_bytes(&index->found);
    struct found found;

    if (rest.length > 0) {
        qsort(index->found.data + index->found.start, rest.length / sizeof(found), sizeof(found),
              compare_age);
    }
    fetcher_work_ended(index->fetcher);
    if (index->scan_error.kind != ERR_NONE)
        log_say(LOG_WARN, "leftover spools cannot be listed: %s", index->scan_error.text);
    for (; rest.length >= sizeof(found); rest = slice_skip(rest, sizeof(found))) {
        memcpy(&found, rest.data, sizeof(found));
        add_leftover(index, &found.digest, found.take, found.bytes);
    }
    keep_limits(index);
    buf_cleanup(&index->found);
    if (!index->fetcher->is_closing)
        index->on_scanned(index->fetcher);
}

void spool_index_scan(struct spool_index *index, void (*on_scanned)(struct fetcher *fetcher))
{
    index->on_scanned = on_scanned;
    index->scan = (struct pool_work){.run = run_scan, .done = on_scan_done};
    fetcher_submit(index->fetcher, &index->scan);
}

/* ---- age ---- */

static bool has_old_leftover(const struct spool_index *index)
{
    return !list_is_empty(&index->by_age) &&
           monotime_since(clock_mono(),
                          LIST_ITEM(index->by_age.next, struct leftover, link)->since) >= KEPT_MS;
}

static void run_sweep(struct pool_work *work)
{
    struct spool_index *index = LIST_ITEM(work, struct spool_index, sweep);
    struct error ignored; /* the next one tries again */

    store_file_each(index->fetcher->options.store, PLACE_SPOOL, remove_old_temporary, index,
                    &ignored);
}

static void on_swept(struct pool_work *work)
{
    struct spool_index *index = LIST_ITEM(work, struct spool_index, sweep);

    index->is_sweeping = false;
    fetcher_work_ended(index->fetcher);
}

/* The keeper leaves the files of what it refuses. */
static void sweep_temporaries(struct spool_index *index)
{
    if (index->is_sweeping)
        return;
    index->is_sweeping = true;
    index->sweep = (struct pool_work){.run = run_sweep, .done = on_swept};
    fetcher_submit(index->fetcher, &index->sweep);
}

static void on_index_timer(void *arg)
{
    struct spool_index *index = arg;

    while (has_old_leftover(index))
        drop_oldest(index);
    keep_limits(index); /* the configuration may have changed */
    sweep_temporaries(index);
    timer_start(index->timer, LOOK_EVERY_MS);
}

struct spool_index *spool_index_new(struct fetcher *fetcher)
{
    struct spool_index *index = NEW(struct spool_index);

    index->fetcher = fetcher;
    index->spools = map_new();
    list_init(&index->by_age);
    buf_init(&index->found, FOUND_MAX);
    index->timer = timer_new(fetcher->options.loop, on_index_timer, index);
    timer_start(index->timer, LOOK_EVERY_MS);
    return index;
}

static void free_spool(struct slice key, void *value, void *arg)
{
    (void)key;
    (void)arg;
    mem_free(value);
}

void spool_index_free(struct spool_index **index)
{
    struct spool_index *gone = TAKE(*index);

    if (!gone)
        return;
    timer_free(&gone->timer);
    map_each(gone->spools, free_spool, NULL);
    map_free(&gone->spools);
    buf_cleanup(&gone->found);
    mem_free(gone);
}
