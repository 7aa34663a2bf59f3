/* SPDX-License-Identifier: Apache-2.0 */
/* See absent.h. */
#include "absent.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/map.h"
#include "config/config.h"
#include "role.h"

#define ABSENT_MAX 10000

struct absence {
    struct monotime until;
    enum error_kind kind;
    char *text;
};

static void absence_free(struct absence *absence)
{
    if (!absence)
        return;
    mem_free(absence->text);
    mem_free(absence);
}

static void free_absence(struct slice key, void *value, void *arg)
{
    (void)key;
    (void)arg;
    absence_free(value);
}

void absent_free_all(struct fetcher *fetcher)
{
    map_each(fetcher->absent, free_absence, NULL);
    map_free(&fetcher->absent);
}

void absent_add(struct fetcher *fetcher, struct slice key, const struct error *err)
{
    uint64_t ttl_ms = fetcher->config->fetch.negative_ttl;

    if (map_count(fetcher->absent) >= ABSENT_MAX) {
        /* A full table is emptied: the upstream is asked again for all of them. */
        absent_free_all(fetcher);
        fetcher->absent = map_new();
    }
    struct absence *absence = NEW(struct absence);
    absence->until = monotime_add(clock_mono(), ttl_ms);
    absence->kind = err->kind;
    absence->text = mem_strdup(err->text);
    absence_free(map_set(fetcher->absent, key, absence));
}

bool absent_find(struct fetcher *fetcher, struct slice key, struct error *err)
{
    struct absence *absence = map_find(fetcher->absent, key);

    if (!absence)
        return false;
    if (clock_mono().ms < absence->until.ms) {
        error_set(err, absence->kind, "%s", absence->text);
        return true;
    }
    absence_free(map_remove(fetcher->absent, key));
    return false;
}
