/* SPDX-License-Identifier: Apache-2.0 */
/* What every module of the worker may ask of it: the ledger's read transaction and work in the
 * pool. This file is below all of them; worker.c, which makes and ends the worker, is above. */
#include "worker_state.h"

#include "base/check.h"
#include "config/config.h"
#include "store/ledger.h"

struct ledger_txn *worker_read(struct worker *worker)
{
    if (worker->reads++ == 0)
        worker->txn = ledger_read(worker->reader);
    return worker->txn;
}

void worker_read_end(struct worker *worker)
{
    CHECK(worker->reads > 0);
    if (--worker->reads > 0)
        return;
    worker->txn = NULL;
    ledger_read_end(worker->reader);
}

static void run_worker_job(struct pool_work *work)
{
    struct worker_job *job = LIST_ITEM(work, struct worker_job, work);

    job->run(job);
}

static void end_worker_job(struct pool_work *work)
{
    struct worker_job *job = LIST_ITEM(work, struct worker_job, work);

    config_unref(&job->config);
    job->worker->jobs--;
    job->done(job);
}

void worker_submit(struct worker *worker, struct worker_job *job, uint64_t key)
{
    job->worker = worker;
    job->config = config_ref(worker->config);
    job->work.run = run_worker_job;
    job->work.done = end_worker_job;
    job->work.key = key;
    worker->jobs++;
    pool_submit(worker->options.pool, &job->work);
}
