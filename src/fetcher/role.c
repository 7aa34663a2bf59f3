/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the modules of the role share: work in the pool, what a drain waits for, the gauge of
 * flights. It counts what the modules tell it and calls none of them.
 */
#include "role.h"

#include <poll.h>

#include "base/check.h"
#include "base/map.h"
#include "base/pool.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "trim.h"

void fetcher_submit(struct fetcher *fetcher, struct pool_work *work)
{
    fetcher->works++;
    pool_submit(fetcher->options.pool, work);
}

void fetcher_work_ended(struct fetcher *fetcher)
{
    CHECK(fetcher->works > 0);
    fetcher->works--;
}

void fetcher_wait_for_pool(struct fetcher *fetcher)
{
    while (fetcher->works > 0) {
        struct pollfd ready = {.fd = pool_descriptor(fetcher->options.pool), .events = POLLIN};

        poll(&ready, 1, 10);
        pool_run_done(fetcher->options.pool);
    }
}

unsigned fetcher_flights(const struct fetcher *fetcher)
{
    return (unsigned)(map_count(fetcher->flights) + map_count(fetcher->asks));
}

void fetcher_count_flights(struct fetcher *fetcher)
{
    unsigned flights = fetcher_flights(fetcher);

    metrics_set(METRIC_flights, flights);
    if (flights == 0)
        trim_soon(fetcher->trim);
}

void fetcher_count_spool(struct fetcher *fetcher, uint64_t before, uint64_t after)
{
    fetcher->spool_bytes += after - before; /* modulo 2^64 */
    metrics_set(METRIC_spool_bytes, fetcher->spool_bytes);
}

/* ---- draining ---- */

static void on_drained(void *arg)
{
    struct fetcher *fetcher = arg;

    timer_stop(fetcher->drain);
    loop_cancel_deferred(fetcher->options.loop, fetcher);
    if (fetcher->options.on_drained)
        fetcher->options.on_drained(fetcher->options.arg);
}

void drain_init(struct fetcher *fetcher)
{
    fetcher->drain = timer_new(fetcher->options.loop, on_drained, fetcher);
}

void drain_cleanup(struct fetcher *fetcher)
{
    timer_free(&fetcher->drain);
    loop_cancel_deferred(fetcher->options.loop, fetcher);
}

void drain_check(struct fetcher *fetcher)
{
    if (!fetcher->is_draining || fetcher->is_closing || !timer_is_running(fetcher->drain))
        return;
    if (fetcher->drain_holds > 0 || keeper_client_pending(fetcher->keeper) > 0)
        return;
    timer_stop(fetcher->drain);
    loop_defer(fetcher->options.loop, on_drained, fetcher);
}

void drain_hold(struct fetcher *fetcher)
{
    fetcher->drain_holds++;
}

void drain_release(struct fetcher *fetcher)
{
    CHECK(fetcher->drain_holds > 0);
    fetcher->drain_holds--;
    drain_check(fetcher);
}

void fetcher_drain(struct fetcher *fetcher, uint64_t within_ms)
{
    if (fetcher->is_draining)
        return;
    fetcher->is_draining = true;
    timer_start(fetcher->drain, within_ms);
    drain_check(fetcher);
}
