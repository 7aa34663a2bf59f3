/* SPDX-License-Identifier: Apache-2.0 */
/* See spool_index.h. */
#include "spool_index.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "net/loop.h"
#include "role.h"
#include "store/store.h"

#define KEPT_MS           (24ul * 3600 * 1000)
#define LOOK_EVERY_MS     (3600ul * 1000)
#define TEMPORARY_KEPT_MS (3600ul * 1000)

struct spool_index {
    struct fetcher *fetcher;
    struct timer *timer; /* looks for what is old */
    struct map *spools;  /* binary digest → struct spool */
};

struct spool {
    unsigned take;
    struct monotime since; /* known to us */
};

static void remove_file(struct spool_index *index, const char *name)
{
    struct error err;
    store_file_remove(index->fetcher->options.store, PLACE_SPOOL, name, &err);
}

static void remove_take(struct spool_index *index, const struct digest *digest, unsigned take)
{
    char name[STORE_NAME_SIZE];
    store_spool_name(digest, take, name);
    remove_file(index, name);
}

void spool_index_add(struct spool_index *index, const struct digest *digest, unsigned take)
{
    uint8_t key[DIGEST_BINARY_MAX];
    struct slice name = slice_from(key, digest_encode(digest, key));
    struct spool *spool = map_find(index->spools, name);

    if (!spool) {
        spool = NEW(struct spool);
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
    struct spool *spool = map_remove(index->spools, slice_from(key, digest_encode(digest, key)));

    if (!spool)
        return false;
    *out_take = spool->take;
    mem_free(spool);
    return true;
}

static void on_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    struct spool_index *index = arg;
    uint64_t now_ms = clock_wall().ms;
    uint64_t age_ms = now_ms > modified_ms ? now_ms - modified_ms : 0;
    struct digest digest;
    unsigned take = 0;

    if (!store_spool_parse(name, &digest, &take)) {
        /* A manifest on its way to the keeper; by now it is there, or its sender is dead. */
        if (age_ms > TEMPORARY_KEPT_MS)
            remove_file(index, name);
        return;
    }
    if (age_ms > KEPT_MS || size == 0) {
        remove_file(index, name);
    } else {
        spool_index_add(index, &digest, take);
    }
}

void spool_index_scan(struct spool_index *index)
{
    struct error err;
    if (store_file_each(index->fetcher->options.store, PLACE_SPOOL, on_file, index, &err) != 0)
        log_say(LOG_WARN, "the spools of before cannot be listed: %s", err.text);
}

static void drop_old(struct slice key, void *value, void *arg)
{
    struct spool_index *index = arg;
    struct spool *spool = value;
    struct slice bytes = key;
    struct digest digest;

    if (monotime_since(clock_mono(), spool->since) < KEPT_MS || !digest_decode(&bytes, &digest))
        return;
    remove_take(index, &digest, spool->take);
    mem_free(map_remove(index->spools, key));
}

static void on_timer(void *arg)
{
    struct spool_index *index = arg;
    map_each(index->spools, drop_old, index);
    timer_start(index->timer, LOOK_EVERY_MS);
}

struct spool_index *spool_index_new(struct fetcher *fetcher)
{
    struct spool_index *index = NEW(struct spool_index);
    index->fetcher = fetcher;
    index->spools = map_new();
    index->timer = timer_new(fetcher->options.loop, on_timer, index);
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
    mem_free(gone);
}
