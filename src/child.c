/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child's frame around its role. The master sends HELLO, CONFIG and SHARED, then LISTENER and
 * PEER, then START. With the first message after SHARED, everything that the role needs is opened
 * and the role is made. CONFIG, LISTENER and PEER may come again at any time. When the line ends,
 * the master is dead.
 *
 *   WAITING ──(first LISTENER, PEER or START)──► MADE ──(DRAIN, end of the line)──► loop_stop
 */
#include "child.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/pool.h"
#include "child_roles.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "ipc/metrics.h"
#include "master/master.h"
#include "net/loop.h"
#include "store/ledger.h"
#include "store/store.h"
#include "store/upload_table.h"

#define POOL_THREADS    16
#define LOCK_WAIT_MS    5000
#define LEDGER_WAIT_MS  10000
#define LEDGER_PAUSE_MS 20
#define ORPHAN_DRAIN_MS 30000 /* of a role that outlives its master */
#define HEARTBEAT_MS    250   /* worker/admin.c says that a role is down when several are missing */
#define CHILD_FAILED    1     /* the exit status; starting again may help */

struct child_frame {
    enum process_role role;
    const struct role_ops *ops;
    unsigned slot;
    unsigned generation; /* of our slot */
    struct loop *loop;
    struct channel *line; /* NULL: the master is gone */
    struct config *config;
    struct pool *pool;
    struct store *store;
    struct ledger *ledger;
    struct upload_table *uploads;
    struct timer *heartbeat;
    void *object; /* the role; NULL: not made yet */
    bool has_metrics;
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

/* ---- what the role needs ---- */

static void on_drained(void *arg)
{
    stop(arg, 0);
}

static void ask_master(enum control_kind kind, uint64_t argument, void *arg)
{
    struct child_frame *frame = arg;
    struct message_control message = {.kind = (uint64_t)kind, .argument = argument};

    if (frame->line)
        channel_send(frame->line, MESSAGE_CONTROL, &message, -1);
}

/* Waits without the loop, as nothing runs yet. The end of the line ends the waiting. */
static bool pause_for_ledger(void)
{
    struct pollfd line = {.fd = MASTER_LINE, .events = 0};

    return poll(&line, 1, LEDGER_PAUSE_MS) == 0;
}

static int open_ledger(struct child_frame *frame, struct error *err)
{
    const char *folder = store_ledger_folder(frame->store);

    if (frame->ops->writes_ledger)
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

    if (rc == 0 && frame->ops->writes_ledger)
        rc = store_lock(frame->store, LOCK_WAIT_MS, err);
    return rc == 0 ? open_ledger(frame, err) : rc;
}

static struct role_parts parts_of(struct child_frame *frame, struct config *config)
{
    return (struct role_parts){
        .loop = frame->loop,
        .pool = frame->pool,
        .config = config,
        .store = frame->store,
        .ledger = frame->ledger,
        .uploads = frame->uploads,
        .slot = frame->slot,
        .on_drained = on_drained,
        .ask_master = ask_master,
        .arg = frame,
    };
}

static int check_config(struct child_frame *frame, struct config *config, struct error *err)
{
    struct role_parts parts = parts_of(frame, config);

    return frame->ops->check ? frame->ops->check(&parts, err) : 0;
}

static int make_role(struct child_frame *frame, struct error *err)
{
    if (!frame->config || !frame->uploads)
        return error_set(err, ERR_INTERNAL, "the master sent no configuration or no shared memory");
    int rc = open_store(frame, err);
    if (rc != 0)
        return rc;
    frame->pool = pool_new(POOL_THREADS);
    loop_add_pool(frame->loop, frame->pool);
    rc = check_config(frame, frame->config, err);
    if (rc != 0)
        return rc;
    struct role_parts parts = parts_of(frame, frame->config);
    frame->object = frame->ops->make(&parts);
    return 0;
}

/* Makes the role if it is not there yet. False: it cannot be made, and the loop was stopped. */
static bool has_role(struct child_frame *frame)
{
    struct error err;

    if (frame->object || frame->is_stopped)
        return frame->object;
    if (make_role(frame, &err) != 0) {
        give_up(frame, &err);
        return false;
    }
    return true;
}

/* ---- what the master says ---- */

static int on_hello(struct child_frame *frame, struct slice body, struct error *err)
{
    struct message_hello hello;
    int rc = message_decode(MESSAGE_HELLO, body, &hello, err);

    if (rc != 0)
        return rc;
    if (hello.protocol != MESSAGE_PROTOCOL) {
        return error_set(err, ERR_UNSUPPORTED,
                         "this is version %s with protocol %u, but the master's version %.*s has "
                         "protocol %llu: restart the server",
                         ENTREPOT_VERSION, MESSAGE_PROTOCOL, SLICE_PRINT(hello.version),
                         (unsigned long long)hello.protocol);
    }
    if (!slice_is(hello.version, ENTREPOT_VERSION)) {
        log_say(LOG_INFO, "this is version %s, the master's is %.*s", ENTREPOT_VERSION,
                SLICE_PRINT(hello.version));
    }
    frame->generation = (unsigned)hello.generation;
    return 0;
}

static int read_config(int fd, struct config **out, struct error *err)
{
    uint64_t size = 0;
    int rc = fd_size(fd, &size, err);

    if (rc != 0)
        return rc;
    if (size > CONFIG_TEXT_MAX)
        return error_set(err, ERR_TOO_LARGE, "the configuration is too long");
    AUTO_FREE char *text = mem_alloc((size_t)size + 1);
    rc = fd_pread_all(fd, text, (size_t)size, 0, err);
    return rc == 0 ? config_parse(slice_from(text, (size_t)size), out, err) : rc;
}

/* Takes the reference over. */
static void install_config(struct child_frame *frame, struct config *config)
{
    struct config *old = frame->config;

    CHECK(config);
    frame->config = config;
    log_set(config->log.level, config->log.format);
    if (frame->object)
        frame->ops->set_config(frame->object, config);
    config_unref(&old);
}

/* The first must be valid. A later one that is not changes nothing, and the master is told. */
static int on_config(struct child_frame *frame, struct slice body, int fd, struct error *err)
{
    struct message_config message;
    struct config *config = NULL;
    int rc = message_decode(MESSAGE_CONFIG, body, &message, err);

    if (rc == 0)
        rc = read_config(fd, &config, err);
    if (rc == 0 && frame->object)
        rc = check_config(frame, config, err);
    if (rc == 0)
        install_config(frame, config);
    else
        config_unref(&config);
    if (!frame->object)
        return rc;
    if (rc != 0)
        log_say(LOG_ERROR, "the new configuration is refused: %s", err->text);
    struct message_config_judged judged = {.number = message.number, .is_taken = rc == 0};
    channel_send(frame->line, MESSAGE_CONFIG_JUDGED, &judged, -1);
    return 0;
}

/* Each kind is taken once, because threads use it without a lock. */
static int on_shared(struct child_frame *frame, struct slice body, int fd, struct error *err)
{
    struct message_shared shared;
    int rc = message_decode(MESSAGE_SHARED, body, &shared, err);

    if (rc != 0)
        return rc;
    if (shared.kind == SHARED_METRICS && !frame->has_metrics) {
        rc = metrics_attach(fd, frame->role, frame->slot, frame->generation, err);
        frame->has_metrics = rc == 0;
    } else if (shared.kind == SHARED_UPLOADS && !frame->uploads) {
        rc = upload_table_attach(fd, &frame->uploads, err);
    } else {
        log_say(LOG_WARN, "shared memory of kind %llu is ignored: it is unknown, or here already",
                (unsigned long long)shared.kind);
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
    if (rc != 0 || !frame->ops->listen)
        return rc;
    char address[160];
    (void)snprintf(address, sizeof(address), "%.*s", SLICE_PRINT(listener.address));
    frame->ops->listen(frame->object, fd, (enum listener_kind)listener.kind, address,
                       listener.is_proxied != 0);
    return 0;
}

static int on_peer(struct child_frame *frame, struct slice body, int *fd, struct error *err)
{
    struct message_peer peer;
    int rc = message_decode(MESSAGE_PEER, body, &peer, err);

    if (rc == 0)
        rc = check_descriptor(*fd, "a channel", err);
    if (rc == 0)
        frame->ops->set_peer(frame->object, &peer, fd);
    return rc;
}

static void drain(struct child_frame *frame, const struct message_drain *how)
{
    if (frame->object)
        frame->ops->drain(frame->object, how);
    else
        stop(frame, 0);
}

static void on_drain(struct child_frame *frame, struct slice body)
{
    struct message_drain message = {0};
    struct error err;

    (void)message_decode(MESSAGE_DRAIN, body, &message, &err);
    drain(frame, &message);
}

static void on_ping(struct child_frame *frame, struct slice body)
{
    struct message_ping ping;
    struct error err;

    if (message_decode(MESSAGE_PING, body, &ping, &err) != 0)
        return;
    struct message_pong pong = {.number = ping.number};
    channel_send(frame->line, MESSAGE_PONG, &pong, -1);
    if (FAILPOINT("child.ask_reload"))
        ask_master(CONTROL_RELOAD, 0, frame);
}

/* For /readyz, which workers answer: they cannot tell a busy channel from a process that hangs. */
static void on_heartbeat(void *arg)
{
    struct child_frame *frame = arg;

    metrics_set(METRIC_heartbeat_ms, clock_mono().ms);
    timer_start(frame->heartbeat, HEARTBEAT_MS);
}

static void start_heartbeat(struct child_frame *frame)
{
    if (frame->ops->listen || frame->heartbeat)
        return;
    frame->heartbeat = timer_new(frame->loop, on_heartbeat, frame);
    on_heartbeat(frame);
}

static void say_ready(struct child_frame *frame)
{
    (void)FAILPOINT("child.start");
    struct message_ready ready = {.version = SLICE_LITERAL(ENTREPOT_VERSION)};
    /* Turns are measured from now on; making the keeper takes longer than a turn may. */
    loop_on_turn(frame->loop, metrics_on_turn, NULL);
    start_heartbeat(frame);
    channel_send(frame->line, MESSAGE_READY, &ready, -1);
}

static void on_line_message(struct channel *channel, enum message_type type, struct slice body,
                            int *fd, void *arg)
{
    (void)channel;
    struct child_frame *frame = arg;
    struct error err;
    int rc = 0;
    if (type == MESSAGE_PING)
        on_ping(frame, body);
    else if (type == MESSAGE_DRAIN)
        on_drain(frame, body);
    else if (type == MESSAGE_HELLO)
        rc = on_hello(frame, body, &err);
    else if (type == MESSAGE_CONFIG)
        rc = on_config(frame, body, *fd, &err);
    else if (type == MESSAGE_SHARED)
        rc = on_shared(frame, body, *fd, &err);
    else if (!has_role(frame))
        return;
    else if (type == MESSAGE_LISTENER)
        rc = on_listener(frame, body, fd, &err);
    else if (type == MESSAGE_PEER)
        rc = on_peer(frame, body, fd, &err);
    else if (type == MESSAGE_START)
        say_ready(frame);
    if (rc != 0)
        give_up(frame, &err);
}

/* The master is dead. */
static void on_line_closed(struct channel *channel, void *arg)
{
    (void)channel;
    struct child_frame *frame = arg;
    channel_free(&frame->line);
    log_say(LOG_WARN, "the master is gone, ending");
    /* The sockets are closed at once, so that the next server can have the addresses. */
    if (!frame->ops->orphan || !frame->object) {
        stop(frame, 0);
        return;
    }
    frame->ops->orphan(frame->object);
    frame->ops->drain(frame->object, &(struct message_drain){.within_ms = ORPHAN_DRAIN_MS});
}

/* ---- first and last ---- */

static void close_all(struct child_frame *frame)
{
    timer_free(&frame->heartbeat);
    if (frame->object)
        frame->ops->free(TAKE(frame->object));
    pool_free(&frame->pool);
    if (frame->line)
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
    static const struct channel_handler handler = {.on_message = on_line_message,
                                                   .on_closed = on_line_closed};

    if (!role_ops(role))
        return CHILD_CANNOT_START;
    struct child_frame *frame = NEW(struct child_frame);
    frame->role = role;
    frame->ops = role_ops(role);
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
