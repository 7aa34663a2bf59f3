/* SPDX-License-Identifier: Apache-2.0 */
/* See trim.h. */
#include "trim.h"

#include <stdbool.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "block_pool.h"
#include "fetcher/fetcher.h"
#include "net/loop.h"
#include "role.h"

#define QUIET_MS 1000

struct trim {
    struct fetcher *fetcher;
    struct timer *timer;
    struct pool_work work;
    bool is_running; /* in the pool */
};

static void run_trim(struct pool_work *work)
{
    (void)work;
    mem_trim();
}

static void on_trimmed(struct pool_work *work)
{
    struct trim *trim = LIST_ITEM(work, struct trim, work);

    fetcher_work_ended(trim->fetcher);
    trim->is_running = false;
}

static void on_trim_timer(void *arg)
{
    struct trim *trim = arg;

    if (trim->is_running || fetcher_flights(trim->fetcher) > 0)
        return;
    trim->is_running = true;
    block_pool_trim(trim->fetcher->blocks);
    trim->work = (struct pool_work){.run = run_trim, .done = on_trimmed};
    fetcher_submit(trim->fetcher, &trim->work);
}

void trim_soon(struct trim *trim)
{
    timer_start(trim->timer, QUIET_MS);
}

struct trim *trim_new(struct fetcher *fetcher)
{
    struct trim *trim = NEW(struct trim);

    trim->fetcher = fetcher;
    trim->timer = timer_new(fetcher->options.loop, on_trim_timer, trim);
    return trim;
}

void trim_free(struct trim **trim)
{
    struct trim *gone = TAKE(*trim);

    if (!gone)
        return;
    timer_free(&gone->timer);
    mem_free(gone);
}
