/* SPDX-License-Identifier: Apache-2.0 */
/* Code in the pool touches only the janitor, and files whose lock it holds. */
#include "janitor.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/pool.h"
#include "config/config.h"
#include "store/store.h"
#include "store/upload_lock.h"
#include "store/upload_table.h"

struct janitor {
    struct janitor_options options;
    struct pool_work work;
    bool is_running;
    uint64_t now_ms;
    uint64_t expiry_ms; /* limits.upload_expiry of this run */
    uint64_t room;      /* for sessions that are found */
    uint64_t count;     /* found, or removed */
};

struct janitor *janitor_new(const struct janitor_options *options)
{
    struct janitor *janitor = NEW(struct janitor);

    janitor->options = *options;
    return janitor;
}

void janitor_free(struct janitor **janitor)
{
    if (!*janitor)
        return;
    CHECK(!(*janitor)->is_running);
    mem_free(*janitor);
    *janitor = NULL;
}

bool janitor_is_running(const struct janitor *janitor)
{
    return janitor->is_running;
}

static void log_count(const struct janitor *janitor, const char *what)
{
    struct log_line line;

    if (janitor->count == 0)
        return;
    log_begin(&line, LOG_INFO);
    log_u64(&line, "count", janitor->count);
    log_end(&line, "%s", what);
}

/* True: the file exists, and is locked for us until the descriptor is closed. */
static bool take_file(const struct janitor *janitor, const char *name, int *out_fd)
{
    struct store *store = janitor->options.store;
    AUTO_CLOSE int fd = -1;
    struct error ignored;

    if (FAILPOINT("janitor.take"))
        return false;
    if (store_file_open(store, PLACE_UPLOADS, name, &fd, &ignored) != 0 ||
        upload_claim(store, name, fd, &ignored) != 0)
        return false;
    *out_fd = fd_take(&fd);
    return true;
}

/* ---- sessions that a former server left ---- */

static bool has_slot(const struct janitor *janitor, const struct upload_id *id)
{
    struct upload_progress known;

    return upload_table_get(janitor->options.uploads, id, &known);
}

static void find_session(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    struct janitor *janitor = arg;
    struct upload_progress state = {.offset = 0, .unhashed = size};
    struct upload_id id;
    AUTO_CLOSE int fd = -1;
    struct error ignored;

    if (janitor->room == 0 || !store_upload_parse(name, &id, &state.repository_key))
        return;
    /* Once before the lock, which a client's request may need now, and once under it. */
    if (has_slot(janitor, &id) || !take_file(janitor, name, &fd) || has_slot(janitor, &id))
        return;
    hash_init(&state.hash, HASH_SHA256);
    state.used_ms = modified_ms < janitor->now_ms ? modified_ms : janitor->now_ms;
    if (upload_table_set(janitor->options.uploads, &id, &state, &ignored) != 0)
        return;
    janitor->room--;
    janitor->count++;
}

void janitor_find_sessions(struct janitor *janitor, const struct config *config, uint64_t now_ms)
{
    uint64_t limit = config->limits.uploads;
    uint64_t open = upload_table_count(janitor->options.uploads);
    struct error err;

    janitor->now_ms = now_ms;
    janitor->room = open < limit ? limit - open : 0;
    janitor->count = 0;
    if (store_file_each(janitor->options.store, PLACE_UPLOADS, find_session, janitor, &err) != 0)
        log_say(LOG_WARN, "cannot list the upload sessions of a former run: %s", err.text);
    log_count(janitor, "resumable upload sessions found");
}

/* ---- old files and slots ---- */

static bool is_older(const struct janitor *janitor, uint64_t when_ms, uint64_t than_ms)
{
    return janitor->now_ms > when_ms && janitor->now_ms - when_ms > than_ms;
}

static void remove_file(struct janitor *janitor, const char *name)
{
    struct error err;

    if (store_file_remove(janitor->options.store, PLACE_UPLOADS, name, &err) == 0)
        janitor->count++;
}

/* The file of a blob is locked by its worker, and its time stays, while the keeper is asked. */
static void remove_temporary(struct janitor *janitor, const char *name, uint64_t modified_ms)
{
    AUTO_CLOSE int fd = -1;

    if (is_older(janitor, modified_ms, STORE_TEMPORARY_KEPT_MS) && take_file(janitor, name, &fd))
        remove_file(janitor, name);
}

static bool was_used_lately(const struct janitor *janitor, const struct upload_id *id)
{
    struct upload_progress state;

    return upload_table_get(janitor->options.uploads, id, &state) &&
           !is_older(janitor, state.used_ms, janitor->expiry_ms);
}

static void remove_old_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    (void)size;
    struct janitor *janitor = arg;
    struct upload_id id;
    uint64_t key;
    AUTO_CLOSE int fd = -1;
    struct error err;
    if (!is_older(janitor, modified_ms, janitor->expiry_ms))
        return;
    if (store_name_is_temporary(name)) {
        remove_temporary(janitor, name, modified_ms);
        return;
    }
    /* Once before the lock, and once under it: the last holder may have continued the session. */
    if (!store_upload_parse(name, &id, &key) || was_used_lately(janitor, &id) ||
        !take_file(janitor, name, &fd) || was_used_lately(janitor, &id))
        return;
    if (upload_end(janitor->options.store, janitor->options.uploads, &id, name, &err) == 0)
        janitor->count++;
}

/* A worker died before it made the session's file, or after it renamed it. A slot without a file
 * has no lock: its maker has as long as a temporary file lives. */
static void remove_empty_slot(const struct upload_id *id, const struct upload_progress *state,
                              void *arg)
{
    struct janitor *janitor = arg;

    if (upload_is_left(janitor->options.store, id, state, janitor->now_ms))
        upload_table_remove(janitor->options.uploads, id);
}

static void on_janitor_run(struct pool_work *work)
{
    struct janitor *janitor = LIST_ITEM(work, struct janitor, work);
    struct error err;

    if (store_file_each(janitor->options.store, PLACE_UPLOADS, remove_old_file, janitor, &err) != 0)
        log_say(LOG_WARN, "cannot list old upload files: %s", err.text);
    upload_table_each(janitor->options.uploads, remove_empty_slot, janitor);
}

static void on_janitor_done(struct pool_work *work)
{
    struct janitor *janitor = LIST_ITEM(work, struct janitor, work);

    janitor->is_running = false;
    log_count(janitor, "old upload files removed");
}

void janitor_start(struct janitor *janitor, const struct config *config, uint64_t now_ms)
{
    if (janitor->is_running)
        return;
    janitor->is_running = true;
    janitor->now_ms = now_ms;
    janitor->expiry_ms = config->limits.upload_expiry;
    janitor->count = 0;
    janitor->work.run = on_janitor_run;
    janitor->work.done = on_janitor_done;
    pool_submit(janitor->options.pool, &janitor->work);
}
