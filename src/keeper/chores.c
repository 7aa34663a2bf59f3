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
#include "collect.h"
#include "config/config.h"
#include "evict.h"
#include "ipc/metrics.h"
#include "net/loop.h"
#include "orphans.h"
#include "store/store.h"
#include "sweeper.h"

#define EVICT_MS        1000
#define SAY_FULL_MS     60000
#define SLICE_RECORDS   1000 /* at most so many change in one transaction */
#define DAY_MS          (24ull * 3600 * 1000)
#define JOURNAL_KEPT_MS (7 * DAY_MS)
#define JOURNAL_HELD_MS (28 * DAY_MS) /* for registered readers that are behind */

/* ---- the journal ---- */

static uint64_t ms_ago(const struct apply *apply, uint64_t ms)
{
    return apply->now_ms > ms ? apply->now_ms - ms : 0;
}

static bool trim_journal(struct collecting *collecting)
{
    const struct apply *apply = collecting->apply;
    struct journal_ages ages = {
        .before_ms = ms_ago(apply, JOURNAL_KEPT_MS),
        .held_before_ms = ms_ago(apply, JOURNAL_HELD_MS),
    };

    return journal_trim(apply->txn, &ages, SLICE_RECORDS) == SLICE_RECORDS;
}

struct room_watch {
    bool is_full;
    uint64_t said_ms;
};

/* ---- what older programs have stored ---- */

static bool survey(struct collecting *collecting)
{
    return collect_survey(collecting->apply);
}

/* ---- files that no record names ---- */

static bool take_swept(struct collecting *collecting)
{
    sweeper_take(collecting->sweeper, collecting->orphans);
    return false;
}

/* ---- a full disk ---- */

/* Once a minute, and when it is over. */
static void watch_room(struct room_watch *watch, struct store *store)
{
    uint64_t now_ms = clock_mono().ms;
    struct error err;
    bool is_full = store_check_room(store, &err) == -ERR_NO_SPACE;

    metrics_set(METRIC_disk_full, is_full);
    if (is_full && (!watch->is_full || now_ms >= watch->said_ms + SAY_FULL_MS)) {
        watch->said_ms = now_ms;
        log_say(LOG_ERROR,
                "%s; pushes are refused until there is room: delete images, or other files there, "
                "or make the disk larger",
                err.text);
    } else if (!is_full && watch->is_full) {
        log_say(LOG_INFO, "the registry's disk has room again: pushes are taken");
    }
    watch->is_full = is_full;
}

/* ---- cached images above a limit ---- */

static bool evict(struct collecting *collecting)
{
    return evict_slice(collecting, collecting->evictor);
}

/* ---- the table ---- */

struct chore {
    const char *name; /* for the log */
    const char *failpoint;
    uint64_t interval_ms;
    /* In a transaction: one slice, of at most SLICE_RECORDS records or COLLECT_SLICE_US. What
     * becomes unnamed by it is removed when it is committed. True: there is more to do. */
    bool (*apply)(struct collecting *collecting);
};

static const struct chore table[] = {
    {"trimming the journal", "chores.trim", 30000, trim_journal},
    {"collecting what nobody needs", "chores.collect", 1000, collect_slice},
    {"entering what nobody needs", "chores.survey", 5000, survey},
    {"removing files that no record names", "chores.sweep", 1000, take_swept},
    {"evicting cached images", "chores.evict", EVICT_MS, evict},
};
#define CHORES (sizeof(table) / sizeof(table[0]))

struct slice_run { /* touched by the pool while it runs */
    struct pool_work work;
    const struct chore *chore; /* NULL: none runs */
    struct config *config;
    uint64_t now_ms;
    struct collecting collecting;
    bool has_more;
    uint64_t number; /* of the newest commit; 0: it failed */
    struct error err;
};

/* What is left to do when files are gone from blobs/, while orders have their turn. */
struct cleaning {
    struct pool_work work;
    bool is_running;
    bool is_last; /* no further slice follows at once: sync the folders */
};

struct chores {
    struct chores_options options;
    struct timer *timer; /* until the next chore is due */
    uint64_t due_ms[CHORES];
    struct walltime started;
    struct monotime started_mono;
    struct slice_run run;
    struct ledger_reader *reader; /* of `orphans` */
    struct orphans orphans;
    struct evictor evictor;
    struct room_watch room; /* the pool's */
    struct cleaning cleaning;
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
    return !chores->cleaning.is_running && find_due(chores) < CHORES;
}

bool chores_is_running(const struct chores *chores)
{
    return chores->run.chore;
}

bool chores_are_cleaning(const struct chores *chores)
{
    return chores->cleaning.is_running;
}

/* The wall clock, as far as time has really passed since the keeper began: a clock that is set
 * forward takes nobody's time away. */
static uint64_t passed_ms(const struct chores *chores, uint64_t now_ms)
{
    uint64_t passed = chores->started.ms + monotime_since(clock_mono(), chores->started_mono);

    return now_ms < passed ? now_ms : passed;
}

/* ---- a slice ---- */

static int run_slice(struct chores *chores, struct slice_run *run)
{
    struct ledger_txn *txn = NULL;
    int rc = ledger_write(chores->options.ledger, &txn, &run->err);

    if (rc != 0)
        return rc;
    struct apply apply = {
        .txn = txn,
        .config = run->config,
        .store = chores->options.store,
        .now_ms = run->now_ms,
    };
    run->collecting = (struct collecting){
        .apply = &apply,
        .uploads = chores->options.uploads,
        .sweeper = chores->options.sweeper,
        .orphans = &chores->orphans,
        .evictor = &chores->evictor,
    };
    run->has_more = run->chore->apply(&run->collecting);
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

/* A crash has left them, or somebody has put them there. */
static void log_removed(const struct slice_run *run, size_t removed)
{
    struct log_line line;

    if (removed == 0 || run->collecting.blobs > 0)
        return;
    log_begin(&line, LOG_INFO);
    log_u64(&line, "count", removed);
    log_end(&line, "files that no record names were removed from blobs/");
}

/* Their records are gone, and no order is applied: nobody places them again now. */
static void remove_files(struct chores *chores, const struct slice_run *run)
{
    if (chores->orphans.digests.length > 0)
        (void)FAILPOINT("chores.remove");
    size_t removed = orphans_remove(&chores->orphans, chores->reader, chores->options.store);
    log_removed(run, removed);
    metrics_add(METRIC_collected_links, run->collecting.links);
    metrics_add(METRIC_collected_blobs, run->collecting.blobs);
    metrics_add(METRIC_collected_bytes, run->collecting.bytes);
}

static void on_slice_run(struct pool_work *work)
{
    struct slice_run *run = LIST_ITEM(work, struct slice_run, work);
    struct chores *chores = LIST_ITEM(run, struct chores, run);

    (void)FAILPOINT(run->chore->failpoint);
    if (run->chore->apply == evict)
        watch_room(&chores->room, chores->options.store);
    run->err.kind = ERR_NONE;
    run->number = 0;
    if (run_slice(chores, run) == 0) {
        remove_files(chores, run);
    } else {
        orphans_forget(&chores->orphans);
        run->has_more = false; /* it is tried again after the interval */
    }
}

/* ---- afterwards ---- */

static void on_cleaning_run(struct pool_work *work)
{
    struct cleaning *cleaning = LIST_ITEM(work, struct cleaning, work);
    struct chores *chores = LIST_ITEM(cleaning, struct chores, cleaning);

    orphans_close(&chores->orphans);
    if (cleaning->is_last)
        orphans_sync(&chores->orphans, chores->options.store);
}

static void on_cleaning_done(struct pool_work *work)
{
    struct cleaning *cleaning = LIST_ITEM(work, struct cleaning, work);
    struct chores *chores = LIST_ITEM(cleaning, struct chores, cleaning);

    cleaning->is_running = false;
    if (chores_is_due(chores))
        chores->options.on_due(chores->options.arg);
}

static void start_cleaning(struct chores *chores, bool is_last)
{
    if (chores->orphans.open.length == 0 && !(is_last && chores->orphans.has_touched))
        return;
    chores->cleaning.is_running = true;
    chores->cleaning.is_last = is_last;
    chores->cleaning.work = (struct pool_work){.run = on_cleaning_run, .done = on_cleaning_done};
    pool_submit(chores->options.pool, &chores->cleaning.work);
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
    start_cleaning(chores, !run->has_more);
    start_timer(chores);
    chores->options.on_done(run->number, chores->options.arg);
}

static void hurry(struct chores *chores, bool (*apply)(struct collecting *collecting))
{
    for (size_t i = 0; i < CHORES; i++) {
        if (table[i].apply == apply)
            chores->due_ms[i] = clock_mono().ms;
    }
}

void chores_look(struct chores *chores)
{
    hurry(chores, evict);
}

void chores_collect(struct chores *chores)
{
    hurry(chores, collect_slice);
}

void chores_start(struct chores *chores, struct config *config, uint64_t now_ms)
{
    struct slice_run *run = &chores->run;
    size_t due = find_due(chores);

    CHECK(due < CHORES && !chores_is_running(chores));
    run->chore = &table[due];
    run->config = config_ref(config);
    run->now_ms = passed_ms(chores, now_ms);
    run->work = (struct pool_work){.run = on_slice_run, .done = on_slice_done};
    pool_submit(chores->options.pool, &run->work);
}

/* ---- life ---- */

struct chores *chores_new(const struct chores_options *options)
{
    struct chores *chores = NEW(struct chores);

    chores->options = *options;
    chores->started = clock_wall();
    chores->started_mono = clock_mono();
    chores->reader = ledger_reader_new(options->ledger);
    orphans_init(&chores->orphans, SWEEPER_FOUND_MAX);
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
    CHECK(!chores_is_running(gone) && !chores_are_cleaning(gone));
    timer_free(&gone->timer);
    ledger_reader_free(&gone->reader);
    orphans_cleanup(&gone->orphans);
    mem_free(gone);
}
