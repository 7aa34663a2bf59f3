/* SPDX-License-Identifier: Apache-2.0 */
/* See sweeper.h. Code in the pool touches only what is marked so, while the state is LOOKING. */
#include "sweeper.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/pool.h"
#include "config/config.h"
#include "net/loop.h"
#include "oci/digest.h"
#include "orphans.h"
#include "store/ledger.h"
#include "store/store.h"

#define FOLDERS    512u /* two algorithms, one byte of the digest */
#define TURN_MS    1000u
#define LOOK_US    20000u /* in a turn; a folder is finished */
#define LISTED_MAX 1000u
#define PAUSE_MIN  5000u /* between two passes, ms */
#define PAUSE_MAX  3600000u

enum sweeper_state {
    SWEEPER_WAITING,
    SWEEPER_LOOKING,
    SWEEPER_FOUND,
};

struct sweeper {
    struct sweeper_options options;
    struct config *config;
    struct timer *timer;
    _Atomic(enum sweeper_state) state;
    bool is_stopped;

    /* In the pool. */
    struct pool_work work;
    struct ledger_reader *reader;
    struct buf listed; /* digests in binary */
    struct orphans found;
    unsigned folder; /* the next */
    uint64_t before_ms;
    bool is_pass_over;
};

/* ---- in the pool ---- */

/* The ledger is read only while nothing has to wait for the disk. */
static void judge_listed(struct sweeper *sweeper)
{
    struct slice rest = buf_bytes(&sweeper->listed);
    struct ledger_txn *txn = ledger_read(sweeper->reader);
    struct digest digest;
    struct blob_record blob;

    while (digest_decode(&rest, &digest)) {
        if (!blob_find(txn, &digest, &blob) && !ledger_error(txn))
            orphans_add(&sweeper->found, &digest);
    }
    ledger_read_end(sweeper->reader);
    buf_clear(&sweeper->listed);
}

static void on_blob_file(const struct digest *digest, uint64_t changed_ms, void *arg)
{
    struct sweeper *sweeper = arg;
    uint8_t binary[DIGEST_BINARY_MAX];

    if (changed_ms >= sweeper->before_ms)
        return;
    if (sweeper->listed.length + sizeof(binary) > sweeper->listed.maximum)
        judge_listed(sweeper);
    buf_append(&sweeper->listed, binary, digest_encode(digest, binary));
}

static void look_into(struct sweeper *sweeper)
{
    unsigned folder = sweeper->folder++;
    enum hash_algorithm algorithm = folder < FOLDERS / 2 ? HASH_SHA256 : HASH_SHA512;
    struct error err;

    if (store_blob_each(sweeper->options.store, algorithm, (uint8_t)folder, on_blob_file, sweeper,
                        &err) != 0)
        log_say(LOG_WARN, "cannot look for files that no record names: %s", err.text);
    judge_listed(sweeper);
}

static void on_sweeper_run(struct pool_work *work)
{
    struct sweeper *sweeper = LIST_ITEM(work, struct sweeper, work);
    uint64_t end_us = clock_mono_us() + LOOK_US;

    do {
        look_into(sweeper);
    } while (sweeper->folder < FOLDERS && sweeper->found.digests.length == 0 &&
             clock_mono_us() < end_us);
    sweeper->is_pass_over = sweeper->folder == FOLDERS;
    if (sweeper->is_pass_over)
        sweeper->folder = 0;
}

/* ---- on the loop ---- */

static void on_sweeper_done(struct pool_work *work)
{
    struct sweeper *sweeper = LIST_ITEM(work, struct sweeper, work);
    uint64_t pause_ms = TURN_MS;

    if (sweeper->is_pass_over) {
        pause_ms = 2 * sweeper->config->storage.grace_ms;
        pause_ms = pause_ms < PAUSE_MIN ? PAUSE_MIN : pause_ms;
        pause_ms = pause_ms > PAUSE_MAX ? PAUSE_MAX : pause_ms;
    }
    atomic_store(&sweeper->state,
                 sweeper->found.digests.length > 0 ? SWEEPER_FOUND : SWEEPER_WAITING);
    if (!sweeper->is_stopped)
        timer_start(sweeper->timer, pause_ms);
}

static void on_sweeper_timer(void *arg)
{
    struct sweeper *sweeper = arg;
    uint64_t now_ms = clock_wall().ms;
    uint64_t old_ms = 2 * sweeper->config->storage.grace_ms;

    if (atomic_load(&sweeper->state) != SWEEPER_WAITING) {
        timer_start(sweeper->timer, TURN_MS);
        return;
    }
    atomic_store(&sweeper->state, SWEEPER_LOOKING);
    sweeper->before_ms = now_ms > old_ms ? now_ms - old_ms : 0;
    sweeper->work = (struct pool_work){.run = on_sweeper_run, .done = on_sweeper_done};
    pool_submit(sweeper->options.pool, &sweeper->work);
}

void sweeper_take(struct sweeper *sweeper, struct orphans *out)
{
    if (atomic_load(&sweeper->state) != SWEEPER_FOUND)
        return;
    orphans_move(&sweeper->found, out);
    atomic_store(&sweeper->state, SWEEPER_WAITING);
}

/* ---- life ---- */

struct sweeper *sweeper_new(const struct sweeper_options *options, struct config *config)
{
    struct sweeper *sweeper = NEW(struct sweeper);

    sweeper->options = *options;
    sweeper->config = config_ref(config);
    sweeper->reader = ledger_reader_new(options->ledger);
    buf_init(&sweeper->listed, LISTED_MAX * DIGEST_BINARY_MAX);
    orphans_init(&sweeper->found, SWEEPER_FOUND_MAX);
    atomic_init(&sweeper->state, SWEEPER_WAITING);
    sweeper->timer = timer_new(options->loop, on_sweeper_timer, sweeper);
    timer_start(sweeper->timer, TURN_MS);
    return sweeper;
}

void sweeper_set_config(struct sweeper *sweeper, struct config *config)
{
    struct config *old = sweeper->config;

    sweeper->config = config_ref(config);
    config_unref(&old);
}

void sweeper_stop(struct sweeper *sweeper)
{
    sweeper->is_stopped = true;
    timer_stop(sweeper->timer);
}

bool sweeper_is_running(const struct sweeper *sweeper)
{
    return atomic_load(&sweeper->state) == SWEEPER_LOOKING;
}

void sweeper_free(struct sweeper **sweeper)
{
    struct sweeper *gone = TAKE(*sweeper);

    if (!gone)
        return;
    CHECK(!sweeper_is_running(gone));
    timer_free(&gone->timer);
    ledger_reader_free(&gone->reader);
    buf_cleanup(&gone->listed);
    orphans_cleanup(&gone->found);
    config_unref(&gone->config);
    mem_free(gone);
}
