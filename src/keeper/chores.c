/* SPDX-License-Identifier: Apache-2.0 */
/* The table of chores. Code in the pool touches only the ledger and the running slice. */
#include "chores.h"

#include "apply.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/list.h"
#include "base/log.h"
#include "base/pool.h"
#include "config/config.h"
#include "net/loop.h"

#define SLICE_RECORDS   1000 /* at most so many change in one transaction */
#define DAY_MS          (24ull * 3600 * 1000)
#define JOURNAL_KEPT_MS (7 * DAY_MS)
#define JOURNAL_HELD_MS (28 * DAY_MS) /* for registered readers that are behind */

/* ---- the journal ---- */

static uint64_t ms_ago(const struct apply *apply, uint64_t ms)
{
    return apply->now_ms > ms ? apply->now_ms - ms : 0;
}

static bool trim_journal(const struct apply *apply)
{
    struct journal_ages ages = {
        .before_ms = ms_ago(apply, JOURNAL_KEPT_MS),
        .held_before_ms = ms_ago(apply, JOURNAL_HELD_MS),
    };

    return journal_trim(apply->txn, &ages, SLICE_RECORDS) == SLICE_RECORDS;
}

/* ---- the table ---- */

struct chore {
    const char *name; /* for the log */
    uint64_t interval_ms;
    /* In a transaction: one slice of at most SLICE_RECORDS records. True: there is more to do. */
    bool (*apply)(const struct apply *apply);
};

static const struct chore table[] = {
    {"trimming the journal", 30000, trim_journal},
};
#define CHORES (sizeof(table) / sizeof(table[0]))

struct slice_run { /* touched by the pool while it runs */
    struct pool_work work;
    const struct chore *chore; /* NULL: none runs */
    struct config *config;
    uint64_t now_ms;
    bool has_more;
    uint64_t number; /* of the newest commit; 0: it failed */
    struct error err;
};

struct chores {
    struct chores_options options;
    struct timer *timer; /* until the next chore is due */
    uint64_t due_ms[CHORES];
    struct slice_run run;
};

/* The index of the most urgent one; CHORES: none is due. */
static size_t find_due(const struct chores *chores)
{
    uint64_t now_ms = clock_mono().ms;
    size_t i = 0;

    while (i < CHORES && chores->due_ms[i] > now_ms)
        i++;
    return i;
}

static void start_timer(struct chores *chores)
{
    uint64_t now_ms = clock_mono().ms;
    uint64_t next_ms = chores->due_ms[0];

    for (size_t i = 1; i < CHORES; i++)
        next_ms = chores->due_ms[i] < next_ms ? chores->due_ms[i] : next_ms;
    if (next_ms > now_ms)
        timer_start(chores->timer, next_ms - now_ms);
}

static void on_chores_timer(void *arg)
{
    struct chores *chores = arg;

    start_timer(chores); /* the clock may be a little behind */
    if (chores_is_due(chores) && !chores_is_running(chores))
        chores->options.on_due(chores->options.arg);
}

bool chores_is_due(const struct chores *chores)
{
    return find_due(chores) < CHORES;
}

bool chores_is_running(const struct chores *chores)
{
    return chores->run.chore;
}

/* ---- a slice ---- */

static int run_slice(struct chores *chores, struct slice_run *run)
{
    struct ledger_txn *txn = NULL;
    int rc = ledger_write(chores->options.ledger, &txn, &run->err);

    if (rc != 0)
        return rc;
    struct apply apply = {txn, run->config, chores->options.store, run->now_ms};
    run->has_more = run->chore->apply(&apply);
    uint64_t number = 0;
    rc = ledger_commit_number(txn, &number, &run->err);
    if (rc != 0) {
        ledger_abort(&txn);
        return rc;
    }
    rc = ledger_commit(&txn, &run->err);
    if (rc == 0)
        run->number = number;
    return rc;
}

static void on_slice_run(struct pool_work *work)
{
    struct slice_run *run = LIST_ITEM(work, struct slice_run, work);
    struct chores *chores = LIST_ITEM(run, struct chores, run);

    (void)FAILPOINT("chores.slice");
    run->err.kind = ERR_NONE;
    run->number = 0;
    if (run_slice(chores, run) != 0)
        run->has_more = false; /* it is tried again after the interval */
}

static void on_slice_done(struct pool_work *work)
{
    struct slice_run *run = LIST_ITEM(work, struct slice_run, work);
    struct chores *chores = LIST_ITEM(run, struct chores, run);
    const struct chore *chore = run->chore;
    struct log_line line;

    run->chore = NULL;
    config_unref(&run->config);
    if (run->err.kind != ERR_NONE) {
        log_begin(&line, LOG_ERROR);
        log_text(&line, "error", run->err.text);
        log_end(&line, "%s failed; it is tried again in %llu s", chore->name,
                (unsigned long long)(chore->interval_ms / 1000));
    }
    if (!run->has_more)
        chores->due_ms[chore - table] = clock_mono().ms + chore->interval_ms;
    start_timer(chores);
    chores->options.on_done(run->number, chores->options.arg);
}

void chores_start(struct chores *chores, struct config *config, uint64_t now_ms)
{
    struct slice_run *run = &chores->run;
    size_t due = find_due(chores);

    CHECK(due < CHORES && !chores_is_running(chores));
    run->chore = &table[due];
    run->config = config_ref(config);
    run->now_ms = now_ms;
    run->work = (struct pool_work){.run = on_slice_run, .done = on_slice_done};
    pool_submit(chores->options.pool, &run->work);
}

/* ---- life ---- */

struct chores *chores_new(const struct chores_options *options)
{
    struct chores *chores = NEW(struct chores);

    chores->options = *options;
    chores->timer = timer_new(options->loop, on_chores_timer, chores);
    for (size_t i = 0; i < CHORES; i++)
        chores->due_ms[i] = clock_mono().ms + table[i].interval_ms;
    start_timer(chores);
    return chores;
}

void chores_free(struct chores **chores)
{
    struct chores *gone = TAKE(*chores);

    if (!gone)
        return;
    CHECK(!chores_is_running(gone));
    timer_free(&gone->timer);
    mem_free(gone);
}
