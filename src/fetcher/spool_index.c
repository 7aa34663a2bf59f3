/* SPDX-License-Identifier: Apache-2.0 */
/* See spool_index.h. */
#include "spool_index.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pool.h"
#include "net/loop.h"
#include "role.h"
#include "store/store.h"

#define KEPT_MS       (24ul * 3600 * 1000)
#define LOOK_EVERY_MS (3600ul * 1000)
#define FOUND_MAX     (64ul * 1024 * 1024) /* bytes of the list that a scan makes */

struct spool_index {
    struct fetcher *fetcher;
    struct timer *timer;   /* removes what is too old, once an hour */
    struct map *spools;    /* binary digest → struct leftover */
    struct pool_work scan; /* while it runs, only it uses `found` */
    struct buf found;      /* an array of struct found */
    struct error scan_error;
    void (*on_scanned)(struct fetcher *fetcher);
};

struct leftover {
    unsigned take;
    struct monotime since; /* when it entered the index */
};

struct found {
    struct digest digest;
    unsigned take;
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

void spool_index_add(struct spool_index *index, const struct digest *digest, unsigned take)
{
    uint8_t key[DIGEST_BINARY_MAX];
    struct slice name = slice_from(key, digest_encode(digest, key));
    struct leftover *spool = map_find(index->spools, name);

    if (!spool) {
        spool = NEW(struct leftover);
        spool->take = take;
        spool->since = clock_mono();
        map_set(index->spools, name, spool);
        return;
    }
    unsigned older = spool->take < take ? spool->take : take;
    if (spool->take != take)
        remove_take(index, digest, older);
    if (spool->take < take)
        spool->take = take;
}

bool spool_index_take(struct spool_index *index, const struct digest *digest, unsigned *out_take)
{
    uint8_t key[DIGEST_BINARY_MAX];
    struct leftover *spool = map_remove(index->spools, slice_from(key, digest_encode(digest, key)));

    if (!spool)
        return false;
    *out_take = spool->take;
    mem_free(spool);
    return true;
}

/* ---- the scan ---- */

static void on_spool_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    struct spool_index *index = arg;
    uint64_t now_ms = clock_wall().ms;
    uint64_t age_ms = now_ms > modified_ms ? now_ms - modified_ms : 0;
    struct found found;

    memset(&found, 0, sizeof(found));
    if (!store_spool_parse(name, &found.digest, &found.take)) {
        /* A manifest that was written for the keeper. One so old will never be placed. */
        if (age_ms > STORE_TEMPORARY_KEPT_MS)
            remove_file(index->fetcher, name);
        return;
    }
    if (age_ms > KEPT_MS || size == 0)
        remove_file(index->fetcher, name);
    else
        buf_append(&index->found, &found, sizeof(found));
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

    fetcher_work_ended(index->fetcher);
    if (index->scan_error.kind != ERR_NONE)
        log_say(LOG_WARN, "leftover spools cannot be listed: %s", index->scan_error.text);
    for (; rest.length >= sizeof(found); rest = slice_skip(rest, sizeof(found))) {
        memcpy(&found, rest.data, sizeof(found));
        spool_index_add(index, &found.digest, found.take);
    }
    buf_cleanup(&index->found);
    if (!index->fetcher->is_closing)
        index->on_scanned(index->fetcher);
}

void spool_index_scan(struct spool_index *index, void (*done)(struct fetcher *fetcher))
{
    index->on_scanned = done;
    index->scan = (struct pool_work){.run = run_scan, .done = on_scan_done};
    fetcher_submit(index->fetcher, &index->scan);
}

/* ---- age ---- */

static void drop_old_spool(struct slice key, void *value, void *arg)
{
    struct spool_index *index = arg;
    struct leftover *spool = value;
    struct slice bytes = key;
    struct digest digest;

    if (monotime_since(clock_mono(), spool->since) < KEPT_MS || !digest_decode(&bytes, &digest))
        return;
    remove_take(index, &digest, spool->take);
    mem_free(map_remove(index->spools, key));
}

static void on_index_timer(void *arg)
{
    struct spool_index *index = arg;

    map_each(index->spools, drop_old_spool, index);
    timer_start(index->timer, LOOK_EVERY_MS);
}

struct spool_index *spool_index_new(struct fetcher *fetcher)
{
    struct spool_index *index = NEW(struct spool_index);

    index->fetcher = fetcher;
    index->spools = map_new();
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
