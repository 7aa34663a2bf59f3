/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child's frame around its role. The master's messages come in this order: HELLO, CONFIG, SHARED,
 * then LISTENER and PEER, START. With the first of the latter, everything the role needs is opened
 * and the role is made. An end of the line means that the master is dead.
 *
 *   WAITING ──(first LISTENER, PEER or START)──► MADE ──(DRAIN, end of the line)──► loop_stop
 */
#include "child.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/pool.h"
#include "config/config.h"
#include "fetcher/fetcher.h"
#include "ipc/channel.h"
#include "ipc/metrics.h"
#include "keeper/keeper.h"
#include "master/master.h"
#include "net/loop.h"
#include "store/ledger.h"
#include "store/store.h"
#include "store/upload_table.h"
#include "worker/worker.h"

#define POOL_THREADS    16
#define LOCK_WAIT_MS    5000
#define LEDGER_WAIT_MS  10000
#define LEDGER_PAUSE_MS 20
#define ORPHAN_DRAIN_MS 30000 /* a worker whose master died */
#define CHILD_FAILED    1     /* the exit status; starting again may help */

struct child_frame {
    enum process_role role;
    unsigned slot;
    struct loop *loop;
    struct channel *line; /* NULL: the master is gone */
    struct config *config;
    struct pool *pool;
    struct store *store;
    struct ledger *ledger;
    struct upload_table *uploads;
    struct worker *worker; /* the one of our role */
    struct fetcher *fetcher;
    struct keeper *keeper;
    bool is_made;
    bool is_stopped;
    int status; /* when is_stopped */
};

static void stop(struct child_frame *frame, int status)
{
    frame->is_stopped = true;
    frame->status = status;
    loop_stop(frame->loop);
}

static void give_up(struct child_frame *frame, const struct error *err)
{
    log_say(LOG_ERROR, "%s", err->text);
    stop(frame, CHILD_CANNOT_START);
}

static void on_drained(void *arg)
{
    stop(arg, 0);
}

/* ---- what the role needs ---- */

/* Wait without the loop: nothing runs yet. An end of the line ends the waiting too. */
static bool pause_for_ledger(void)
{
    struct pollfd line = {.fd = MASTER_LINE, .events = 0};
    return poll(&line, 1, LEDGER_PAUSE_MS) == 0;
}

static int open_ledger(struct child_frame *frame, struct error *err)
{
    const char *folder = store_ledger_folder(frame->store);
    if (frame->role == ROLE_KEEPER)
        return ledger_open(folder, true, &frame->ledger, err);
    struct monotime began = clock_mono();
    int rc = ledger_open(folder, false, &frame->ledger, err);
    while (rc == -ERR_NOT_FOUND && monotime_since(clock_mono(), began) < LEDGER_WAIT_MS &&
           pause_for_ledger())
        rc = ledger_open(folder, false, &frame->ledger, err);
    return rc;
}

static int open_store(struct child_frame *frame, struct error *err)
{
    int rc = store_open(frame->config->storage.path, &frame->store, err);
    if (rc == 0 && frame->role == ROLE_KEEPER)
        rc = store_lock(frame->store, LOCK_WAIT_MS, err);
    return rc == 0 ? open_ledger(frame, err) : rc;
}

static void make_worker(struct child_frame *frame)
{
    struct worker_options options = {
        .loop = frame->loop,
        .pool = frame->pool,
        .config = frame->config,
        .store = frame->store,
        .ledger = frame->ledger,
        .uploads = frame->uploads,
        .slot = frame->slot,
        .workers = frame->config->workers,
        .on_drained = on_drained,
        .arg = frame,
    };
    frame->worker = worker_new(&options);
}

static void make_fetcher(struct child_frame *frame)
{
    struct fetcher_options options = {
        .loop = frame->loop,
        .pool = frame->pool,
        .config = frame->config,
        .store = frame->store,
        .ledger = frame->ledger,
        .on_drained = on_drained,
        .arg = frame,
    };
    frame->fetcher = fetcher_new(&options);
}

static int make_keeper(struct child_frame *frame, struct error *err)
{
    struct keeper_options options = {
        .loop = frame->loop,
        .pool = frame->pool,
        .config = frame->config,
        .store = frame->store,
        .ledger = frame->ledger,
        .uploads = frame->uploads,
        .on_drained = on_drained,
        .arg = frame,
    };
    int rc = keeper_check(&options, err);
    if (rc == 0)
        frame->keeper = keeper_new(&options);
    return rc;
}

/* True when the role is there; else the loop was stopped. */
static bool make(struct child_frame *frame)
{
    struct error err = {.text = "the master sent no configuration or no shared memory"};
    if (frame->is_made)
        return true;
    if (frame->is_stopped)
        return false;
    if (frame->config == NULL || frame->uploads == NULL || open_store(frame, &err) != 0) {
        give_up(frame, &err);
        return false;
    }
    frame->pool = pool_new(POOL_THREADS);
    loop_add_pool(frame->loop, frame->pool);
    if (frame->role == ROLE_WORKER) {
        make_worker(frame);
    } else if (frame->role == ROLE_FETCHER) {
        make_fetcher(frame);
    } else if (make_keeper(frame, &err) != 0) {
        give_up(frame, &err);
        return false;
    }
    frame->is_made = true;
    return true;
}

/* ---- what the master says ---- */

static int on_hello(struct slice body, struct error *err)
{
    struct message_hello hello;
    int rc = message_decode(MESSAGE_HELLO, body, &hello, err);
    if (rc == 0 && !slice_is(hello.version, ENTREPOT_VERSION)) {
        rc = error_set(err, ERR_UNSUPPORTED, "this is version %s, the master's is %.*s",
                       ENTREPOT_VERSION, SLICE_PRINT(hello.version));
    }
    return rc;
}

/* The role that is there already takes the new one. */
static void give_config(struct child_frame *frame)
{
    if (frame->worker)
        worker_set_config(frame->worker, frame->config);
    if (frame->fetcher)
        fetcher_set_config(frame->fetcher, frame->config);
    if (frame->keeper)
        keeper_set_config(frame->keeper, frame->config);
}

static int on_config(struct child_frame *frame, int fd, struct error *err)
{
    uint64_t size = 0;
    int rc = fd_size(fd, &size, err);
    if (rc != 0)
        return rc;
    if (size > CONFIG_TEXT_MAX)
        return error_set(err, ERR_TOO_LARGE, "the configuration is too long");
    AUTO_FREE char *text = mem_alloc((size_t)size + 1);
    struct config *config = NULL;
    rc = fd_pread_all(fd, text, (size_t)size, 0, err);
    if (rc == 0)
        rc = config_parse(slice_from(text, (size_t)size), &config, err);
    if (rc == 0) {
        struct config *old = frame->config;
        frame->config = config;
        give_config(frame);
        config_unref(&old);
        log_close();
        log_open(process_role_name(frame->role), (int)frame->slot, config->log.level,
                 config->log.format);
    }
    return rc;
}

static int on_shared(struct child_frame *frame, struct slice body, int fd, struct error *err)
{
    struct message_shared shared;
    int rc = message_decode(MESSAGE_SHARED, body, &shared, err);
    if (rc == 0 && shared.kind == SHARED_METRICS) {
        rc = metrics_attach(fd, frame->role, frame->slot, err);
    } else if (rc == 0 && shared.kind == SHARED_UPLOADS && frame->uploads == NULL) {
        rc = upload_table_attach(fd, &frame->uploads, err);
    }
    return rc;
}

static int check_descriptor(int fd, const char *what, struct error *err)
{
    return fd >= 0 ? 0 : error_set(err, ERR_IO, "no descriptor is left to take %s with", what);
}

static int on_listener(struct child_frame *frame, struct slice body, int *fd, struct error *err)
{
    struct message_listener listener;
    int rc = message_decode(MESSAGE_LISTENER, body, &listener, err);
    if (rc == 0)
        rc = check_descriptor(*fd, "a listening socket", err);
    if (rc != 0 || frame->worker == NULL)
        return rc;
    char address[160];
    (void)snprintf(address, sizeof address, "%.*s", SLICE_PRINT(listener.address));
    worker_listen(frame->worker, fd, (enum listener_kind)listener.kind, address);
    return 0;
}

static int on_peer(struct child_frame *frame, struct slice body, int *fd, struct error *err)
{
    struct message_peer peer;
    int rc = message_decode(MESSAGE_PEER, body, &peer, err);
    if (rc == 0)
        rc = check_descriptor(*fd, "a channel", err);
    if (rc != 0)
        return rc;
    enum process_role role = (enum process_role)peer.role;
    unsigned slot = (unsigned)peer.slot;
    if (frame->worker != NULL && (role == ROLE_FETCHER || role == ROLE_KEEPER)) {
        worker_set_peer(frame->worker, role, fd);
    } else if (frame->fetcher != NULL && role == ROLE_WORKER) {
        fetcher_add_worker(frame->fetcher, slot, fd);
    } else if (frame->fetcher != NULL && role == ROLE_KEEPER) {
        fetcher_set_keeper(frame->fetcher, fd);
    } else if (frame->keeper != NULL && (role == ROLE_WORKER || role == ROLE_FETCHER)) {
        keeper_set_peer(frame->keeper, role, slot, fd);
    }
    return 0;
}

static void drain(struct child_frame *frame, uint64_t within_ms)
{
    if (!frame->is_made) {
        stop(frame, 0);
    } else if (frame->worker != NULL) {
        worker_drain(frame->worker, within_ms);
    } else if (frame->fetcher != NULL) {
        fetcher_drain(frame->fetcher, within_ms);
    } else {
        keeper_drain(frame->keeper, within_ms);
    }
}

static void on_ping(struct child_frame *frame, struct slice body)
{
    struct message_ping ping;
    struct error err;
    if (message_decode(MESSAGE_PING, body, &ping, &err) == 0) {
        struct message_pong pong = {.number = ping.number};
        channel_send(frame->line, MESSAGE_PONG, &pong, -1);
    }
}

static void on_drain(struct child_frame *frame, struct slice body)
{
    struct message_drain message = {0};
    struct error err;
    (void)message_decode(MESSAGE_DRAIN, body, &message, &err);
    drain(frame, message.within_ms);
}

static void say_ready(struct child_frame *frame)
{
    struct message_ready ready = {.version = SLICE_LITERAL(ENTREPOT_VERSION)};
    /* From now on somebody may wait for a turn; being made takes the keeper longer. */
    loop_on_turn(frame->loop, metrics_on_turn, NULL);
    channel_send(frame->line, MESSAGE_READY, &ready, -1);
}

/* Before the role is there: what it is made of. True: the message was one of those. */
static bool take_part(struct child_frame *frame, enum message_type type, struct slice body, int fd)
{
    struct error err;
    int rc = 0;
    if (type == MESSAGE_HELLO) {
        rc = on_hello(body, &err);
    } else if (type == MESSAGE_CONFIG) {
        rc = on_config(frame, fd, &err);
    } else if (type == MESSAGE_SHARED) {
        rc = on_shared(frame, body, fd, &err);
    } else {
        return false;
    }
    if (rc != 0)
        give_up(frame, &err);
    return true;
}

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    (void)channel;
    struct child_frame *frame = arg;
    struct error err;
    int rc = 0;
    if (type == MESSAGE_PING) {
        on_ping(frame, body);
    } else if (type == MESSAGE_DRAIN) {
        on_drain(frame, body);
    } else if (take_part(frame, type, body, *fd) || !make(frame)) {
        return;
    } else if (type == MESSAGE_LISTENER) {
        rc = on_listener(frame, body, fd, &err);
    } else if (type == MESSAGE_PEER) {
        rc = on_peer(frame, body, fd, &err);
    } else if (type == MESSAGE_START) {
        say_ready(frame);
    }
    if (rc != 0)
        give_up(frame, &err);
}

/* The master is dead. What is queued for clients is still served; what can be asked of nobody any
 * more is not worth staying for. */
static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    struct child_frame *frame = arg;
    channel_free(&frame->line);
    log_say(LOG_WARN, "the master is gone, ending");
    if (frame->role == ROLE_WORKER) {
        drain(frame, ORPHAN_DRAIN_MS);
    } else {
        stop(frame, 0);
    }
}

/* ---- first and last ---- */

static void close_all(struct child_frame *frame)
{
    worker_free(&frame->worker);
    fetcher_free(&frame->fetcher);
    keeper_free(&frame->keeper);
    pool_free(&frame->pool);
    if (frame->line != NULL)
        channel_flush(frame->line, 100);
    channel_free(&frame->line);
    upload_table_detach(&frame->uploads);
    ledger_close(&frame->ledger);
    store_close(&frame->store);
    config_unref(&frame->config);
    loop_free(&frame->loop);
}

int child_run(enum process_role role, unsigned slot)
{
    static const struct channel_handler handler = {on_message, on_closed, NULL};
    struct child_frame *frame = NEW(struct child_frame);
    frame->role = role;
    frame->slot = slot;
    /* The master executes itself by /proc/self/exe, which would be its name in ps and top. */
    (void)prctl(PR_SET_NAME, "entrepot");
    log_open(process_role_name(role), (int)slot, LOG_INFO, LOG_TEXT);
    frame->loop = loop_new();
    int line = MASTER_LINE;
    frame->line =
        channel_new(frame->loop, &line, (struct channel_ends){role, ROLE_MASTER}, &handler, frame);
    loop_run(frame->loop);
    /* A channel that failed ends the loop without us. */
    int status = frame->is_stopped ? frame->status : CHILD_FAILED;
    close_all(frame);
    log_close();
    mem_free(frame);
    return status;
}
