/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows, their clients and the spool they share. A follow ends when its last client has left;
 * a client stays its request's step until the request is over.
 */
#include "follow.h"

#include <unistd.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "config/config.h"
#include "fetch_error.h"
#include "fetcher_client.h"
#include "follow_limit.h"
#include "net/loop.h"
#include "request.h"
#include "serve.h"
#include "store/store.h"
#include "worker_state.h"

#define PIECE_MAX  ((size_t)256 * 1024)
#define KEY_MAX    1024
#define RECHECK_MS 1000

struct follow_table {
    struct worker *worker;
    follow_here_fn *answer_here;
    struct map *follows;
};

/* The descriptor of a spool. Counted: a piece that is being sent keeps it open when the flight has
 * gone on with another spool. */
struct spool {
    int fd;
    uint64_t inode; /* 0: unknown */
    unsigned users;
};

enum follow_state {
    FOLLOW_ASKED,    /* the fetcher has not said that bytes come: there is no spool */
    FOLLOW_OPEN,     /* the spool grows */
    FOLLOW_VERIFIED, /* the spool is whole and right */
    FOLLOW_OVER,     /* out of the table: no client joins any more */
    FOLLOW_STATES
};

struct follow {
    struct follow_table *table;
    enum follow_state state;
    struct fetcher_call call;
    struct digest digest;
    struct spool *spool; /* NULL in FOLLOW_ASKED */
    struct follow_level level;
    struct timer *hold; /* runs from OPEN for small blobs */
    struct timer *lost; /* runs from the fetcher's death until the next one says something */
    struct list clients;
    struct buf key;
};

enum follow_client_state {
    CLIENT_WAITING, /* nothing is sent yet */
    CLIENT_READY,   /* the head is sent; waits for bytes that may be sent */
    CLIENT_SENDING, /* a piece is with the connection */
    CLIENT_OVER,    /* the answer is complete, or it failed */
    CLIENT_STATES
};

struct follow_client {
    struct list link;
    struct follow *follow; /* NULL: answered otherwise */
    enum follow_client_state state;
    struct request *request;
    struct timer *deadline;
    struct spool *spool; /* of the piece that is being sent, when it has bytes of the file */
    struct blob_parts parts;
    uint64_t size_said; /* in the head */
};

/* ---- states ---- */

#define TO(state) (1u << FOLLOW_##state)
static const unsigned follow_moves[FOLLOW_STATES] = {
    [FOLLOW_ASKED] = TO(OPEN) | TO(OVER),
    [FOLLOW_OPEN] = TO(OPEN) | TO(VERIFIED) | TO(OVER),
    [FOLLOW_VERIFIED] = TO(OPEN) | TO(VERIFIED) | TO(OVER),
};
#undef TO

static void follow_set_state(struct follow *follow, enum follow_state next)
{
    CHECK((follow_moves[follow->state] & (1u << next)) != 0);
    follow->state = next;
    follow->level.is_verified = next == FOLLOW_VERIFIED;
}

#define TO(state) (1u << CLIENT_##state)
static const unsigned client_moves[CLIENT_STATES] = {
    [CLIENT_WAITING] = TO(READY) | TO(OVER),
    [CLIENT_READY] = TO(SENDING) | TO(OVER),
    [CLIENT_SENDING] = TO(READY) | TO(OVER),
};
#undef TO

static void client_set_state(struct follow_client *client, enum follow_client_state next)
{
    CHECK((client_moves[client->state] & (1u << next)) != 0);
    client->state = next;
}

/* ---- spools ---- */

static struct spool *spool_new(int *fd)
{
    struct spool *spool = NEW(struct spool);
    struct error ignored;

    spool->users = 1;
    if (store_file_inode(*fd, &spool->inode, &ignored) != 0)
        spool->inode = 0;
    spool->fd = fd_take(fd);
    return spool;
}

static void spool_unref(struct spool **slot)
{
    struct spool *spool = TAKE(*slot);

    if (!spool || --spool->users > 0)
        return;
    fd_close(&spool->fd);
    mem_free(spool);
}

/* ---- the ends ---- */

/* From now on the next request for the blob starts a follow of its own. */
static void follow_unlist(struct follow *follow)
{
    if (follow->state == FOLLOW_OVER)
        return;
    map_remove(follow->table->follows, buf_bytes(&follow->key));
    follow_set_state(follow, FOLLOW_OVER);
}

/* Called last by everything that may have taken the last client away. */
static void follow_end_if_empty(struct follow *follow)
{
    struct worker *worker = follow->table->worker;

    if (!list_is_empty(&follow->clients))
        return;
    follow_unlist(follow);
    loop_cancel_deferred(worker->options.loop, follow);
    fetcher_client_drop(worker->fetcher, &follow->call);
    timer_free(&follow->hold);
    timer_free(&follow->lost);
    spool_unref(&follow->spool);
    buf_cleanup(&follow->key);
    mem_free(follow);
}

/* The follow does not end here, even if this was its last client: its list may be being walked.
 */
static void client_detach(struct follow_client *client)
{
    if (client->follow)
        list_remove(&client->link);
    client->follow = NULL;
}

static void client_free(struct follow_client *client)
{
    client_detach(client);
    timer_free(&client->deadline);
    spool_unref(&client->spool);
    blob_parts_cleanup(&client->parts);
    mem_free(client);
}

static void client_cut(struct follow_client *client, const char *why)
{
    client_detach(client);
    if (client->state == CLIENT_OVER)
        return;
    client_set_state(client, CLIENT_OVER);
    request_abort(client->request, why);
}

/* The client stays the request's step until the request is over. */
static void client_fail(struct follow_client *client, const struct message_failed *failed)
{
    if (client->state != CLIENT_WAITING) {
        client_cut(client, "the download failed after the answer had begun");
        return;
    }
    client_detach(client);
    client_set_state(client, CLIENT_OVER);
    timer_stop(client->deadline);
    fetch_error_answer(client->request, failed, API_BLOB_UNKNOWN);
}

/* ---- sending ---- */

static void client_begin(struct follow_client *client)
{
    struct follow *follow = client->follow;
    struct request *request = client->request;
    struct serve_plan plan;

    serve_plan_blob(request, &follow->digest, follow->level.size, &plan);
    timer_stop(client->deadline);
    client->parts = plan.parts;
    client->size_said = follow->level.size;
    client_set_state(client, serve_plan_has_body(&plan) ? CLIENT_READY : CLIENT_OVER);
    request->source = SOURCE_FLIGHT;
    request->outcome = "served from a flight";
    serve_blob_head(request, &follow->digest, follow->level.size, &plan);
}

static void client_send(struct follow_client *client)
{
    struct follow *follow = client->follow;
    struct blob_piece piece;

    if (!blob_parts_next(&client->parts, follow_limit(&follow->level), PIECE_MAX, &piece))
        return;
    client_set_state(client, CLIENT_SENDING);
    if (piece.length > 0) {
        client->spool = follow->spool;
        client->spool->users++;
    }
    serve_piece(client->request, follow->spool->fd, &piece);
}

/* Send what may be sent, if the connection has nothing to send. */
static void client_advance(struct follow_client *client)
{
    const struct follow *follow = client->follow;

    if (!follow || !follow->spool)
        return;
    if (client->state == CLIENT_WAITING && follow_may_begin(&follow->level))
        client_begin(client);
    if (client->state != CLIENT_READY)
        return;
    if (!blob_parts_is_over(&client->parts)) {
        client_send(client);
        return;
    }
    client_set_state(client, CLIENT_OVER);
    http_conn_end(client->request->conn);
}

static void on_piece_sent(struct request *request)
{
    struct follow_client *client = request->step;

    spool_unref(&client->spool);
    if (client->state != CLIENT_SENDING)
        return;
    client_set_state(client, CLIENT_READY);
    client_advance(client);
}

static void on_client_gone(struct request *request)
{
    struct follow_client *client = request->step;
    struct follow *follow = client->follow;

    client_free(client);
    if (follow)
        follow_end_if_empty(follow);
}

static const struct request_steps client_steps = {.on_drained = on_piece_sent,
                                                  .on_gone = on_client_gone};

static void on_deadline(void *arg)
{
    struct follow_client *client = arg;
    struct follow *follow = client->follow;
    struct message_failed failed = {
        .kind = ERR_TIMEOUT,
        .text = SLICE_LITERAL("the upstream did not answer in time; the download goes on"),
    };

    client_fail(client, &failed);
    if (follow)
        follow_end_if_empty(follow);
}

/* ---- what the fetcher says ---- */

static void advance_all(struct follow *follow)
{
    LIST_EACH (link, &follow->clients)
        client_advance(LIST_ITEM(link, struct follow_client, link));
}

static void fail_all(struct follow *follow, const struct message_failed *failed)
{
    LIST_EACH (link, &follow->clients)
        client_fail(LIST_ITEM(link, struct follow_client, link), failed);
}

static void on_hold_over(void *arg)
{
    struct follow *follow = arg;

    follow->level.is_held_long = true;
    advance_all(follow);
}

/* A living fetcher goes on with a download, or gives it up, within this time. */
static uint64_t patience_ms(const struct follow *follow)
{
    const struct config *config = follow->table->worker->config;

    return config->fetch.stall_timeout * (config->fetch.retries + 1) + config->fetch.deadline;
}

/* A client that is still being sent earlier bytes does not wait for the fetcher yet. */
static void cut_starved(void *arg)
{
    struct follow *follow = arg;

    LIST_EACH (link, &follow->clients) {
        struct follow_client *client = LIST_ITEM(link, struct follow_client, link);

        if (client->state == CLIENT_READY)
            client_cut(client, "the fetcher died and the download did not go on");
    }
    if (!list_is_empty(&follow->clients))
        timer_start(follow->lost, RECHECK_MS);
    follow_end_if_empty(follow);
}

static void on_lost_long(void *arg)
{
    struct follow *follow = arg;

    loop_defer(follow->table->worker->options.loop, cut_starved, follow);
}

static void on_lost(struct fetcher_call *call)
{
    struct follow *follow = LIST_ITEM(call, struct follow, call);

    if (!timer_is_running(follow->lost))
        timer_start(follow->lost, patience_ms(follow));
}

static void set_level(struct follow *follow, uint64_t size, uint64_t bytes)
{
    struct follow_level *level = &follow->level;

    if (size != level->size) {
        level->size = size;
        LIST_EACH (link, &follow->clients) {
            struct follow_client *client = LIST_ITEM(link, struct follow_client, link);

            if (client->state != CLIENT_WAITING && client->size_said != size)
                client_cut(client, "the size of the blob changed after the answer had begun");
        }
    }
    if (bytes > level->bytes)
        level->bytes = bytes;
    if (!follow_is_too_large(level))
        return;
    struct message_failed failed = {
        .kind = ERR_UPSTREAM,
        .text = SLICE_LITERAL("the upstream does not say how large this blob is, and it is too "
                              "large to be held back whole"),
    };
    fail_all(follow, &failed);
}

/* Clients that were sent more than both spools have in common cannot go on. A piece that is being
 * sent counts as sent. */
static void replace_spool(struct follow *follow, int *fd, uint64_t same_until)
{
    LIST_EACH (link, &follow->clients) {
        struct follow_client *client = LIST_ITEM(link, struct follow_client, link);

        if (client->state != CLIENT_WAITING && client->parts.furthest > same_until)
            client_cut(client, "the download started over and differs from what was sent");
    }
    spool_unref(&follow->spool);

    follow->spool = spool_new(fd);
    follow->level.bytes = 0;
    follow_set_state(follow, FOLLOW_OPEN);
}

static void log_lost_spool(const struct follow *follow)
{
    struct log_line line;
    char text[DIGEST_TEXT_SIZE];

    log_begin(&line, LOG_WARN);
    log_slice(&line, "origin", follow->call.join.origin);
    log_slice(&line, "repo", follow->call.join.repository);
    log_text(&line, "digest", digest_print(&follow->digest, text));
    log_end(&line, "no descriptor left to receive a spool with; cutting its clients");
}

/* The descriptor did not arrive: everything the fetcher says from now on is about a spool that this
 * process does not have. */
static void lose_spool(struct follow *follow)
{
    struct message_failed failed = {
        .kind = ERR_NO_SPACE,
        .text = SLICE_LITERAL("no file descriptor is left to read the download with"),
    };

    log_lost_spool(follow);
    follow_unlist(follow);
    fail_all(follow, &failed);
}

static void start_hold(struct follow *follow)
{
    if (follow->level.is_held_long || timer_is_running(follow->hold))
        return;
    timer_start(follow->hold, follow->table->worker->config->fetch.hold_time);
}

static void on_open(struct follow *follow, const struct message_open *open, int *fd)
{
    uint64_t inode = 0;
    struct error err;

    if (*fd < 0) {
        lose_spool(follow);
        return;
    }
    bool is_same =
        follow->spool && store_file_inode(*fd, &inode, &err) == 0 && inode == follow->spool->inode;
    if (!is_same)
        replace_spool(follow, fd, 0);
    follow->level.is_strict = open->is_strict != 0;
    set_level(follow, open->size, open->bytes);
    start_hold(follow);
    advance_all(follow);
}

static void on_taken(struct follow *follow, const struct message_taken *taken, int *fd)
{
    if (*fd < 0) {
        lose_spool(follow);
        return;
    }
    replace_spool(follow, fd, taken->same_until);
    set_level(follow, taken->size, taken->bytes);
    advance_all(follow);
}

static void on_verified(struct follow *follow, const struct message_verified *verified)
{
    if (!follow->spool)
        return;
    set_level(follow, verified->size, verified->size);
    follow_set_state(follow, FOLLOW_VERIFIED);
    fetcher_client_settle(follow->table->worker->fetcher, &follow->call);
    advance_all(follow);
}

/* The blob is in the store. A client that has its head may go on only if that is the same file.
 */
static void on_here(struct follow *follow)
{
    struct worker *worker = follow->table->worker;
    int fd = -1;
    struct store_blob found;
    struct error err;
    bool is_same = follow->spool &&
                   store_blob_open(worker->options.store, &follow->digest, UINT64_MAX, &fd, &found,
                                   &err) == 0 &&
                   found.identity.inode == follow->spool->inode;

    fd_close(&fd);
    if (is_same) {
        struct message_verified verified = {.size = found.size};

        on_verified(follow, &verified);
        return;
    }
    /* Out of the table first: a request that finds nothing in the store must not join this follow
     * again. */
    follow_unlist(follow);
    LIST_EACH (link, &follow->clients) {
        struct follow_client *client = LIST_ITEM(link, struct follow_client, link);
        struct request *request = client->request;

        if (client->state != CLIENT_WAITING) {
            client_cut(client, "the blob was stored from another download");
            continue;
        }
        request_set_step(request, NULL, NULL);
        client_free(client);
        follow->table->answer_here(request);
    }
}

static void on_message(struct fetcher_call *call, enum message_type type, const void *message,
                       int *fd)
{
    struct follow *follow = LIST_ITEM(call, struct follow, call);

    timer_stop(follow->lost);
    loop_cancel_deferred(follow->table->worker->options.loop, follow);
    if (type == MESSAGE_OPEN) {
        on_open(follow, message, fd);
    } else if (type == MESSAGE_GREW) {
        const struct message_grew *grew = message;

        set_level(follow, follow->level.size, grew->bytes);
        advance_all(follow);
    } else if (type == MESSAGE_TAKEN) {
        on_taken(follow, message, fd);
    } else if (type == MESSAGE_VERIFIED) {
        on_verified(follow, message);
    } else if (type == MESSAGE_HERE) {
        on_here(follow);
    } else if (type == MESSAGE_FAILED) {
        fail_all(follow, message);
    }
    follow_end_if_empty(follow);
}

/* ---- joining ---- */

static void fill_key(struct buf *key, const struct request *request)
{
    uint8_t binary[DIGEST_BINARY_MAX];

    buf_append_slice(key, request->target.origin);
    buf_append_byte(key, '\0');
    buf_append_slice(key, request->target.name);
    buf_append_byte(key, '\0');
    buf_append(key, binary, digest_encode(&request->operation.digest, binary));
    CHECK(!key->is_over);
}

static struct follow *follow_start(struct follow_table *table, const struct request *request,
                                   uint64_t size)
{
    struct worker *worker = table->worker;
    struct follow *follow = NEW(struct follow);

    follow->table = table;
    follow->digest = request->operation.digest;
    follow->hold = timer_new(worker->options.loop, on_hold_over, follow);
    follow->lost = timer_new(worker->options.loop, on_lost_long, follow);
    follow->level.size = FOLLOW_SIZE_UNKNOWN;
    follow->level.hold_max = worker->config->fetch.hold_max;
    list_init(&follow->clients);
    buf_init(&follow->key, KEY_MAX);
    fill_key(&follow->key, request);
    map_set(table->follows, buf_bytes(&follow->key), follow);

    struct slice key = buf_bytes(&follow->key);
    struct message_join *join = &follow->call.join;
    join->kind = JOIN_BLOB;
    join->origin = slice_from(key.data, request->target.origin.length);
    join->repository = slice_from(key.data + join->origin.length + 1, request->target.name.length);
    join->digest = follow->digest;
    join->size = size;
    join->is_check = permit_is_own_only(&request->permit);
    follow->call.on_message = on_message;
    follow->call.on_lost = on_lost;
    fetcher_client_ask(worker->fetcher, &follow->call);
    return follow;
}

static struct follow *follow_find(const struct follow_table *table, const struct request *request)
{
    AUTO_BUF struct buf key;

    buf_init(&key, KEY_MAX);
    fill_key(&key, request);
    return map_find(table->follows, buf_bytes(&key));
}

void follow_join(struct follow_table *table, struct request *request, uint64_t size)
{
    struct worker *worker = table->worker;
    struct follow *follow = follow_find(table, request);

    if (!follow && fetcher_client_is_full(worker->fetcher)) {
        struct message_failed failed = fetcher_client_full();

        fetch_error_answer(request, &failed, API_BLOB_UNKNOWN);
        return;
    }
    request->is_asked = true;
    request->is_joined = follow;
    if (!follow)
        follow = follow_start(table, request, size);
    struct follow_client *client = NEW(struct follow_client);
    client->follow = follow;
    client->request = request;
    client->deadline = timer_new(worker->options.loop, on_deadline, client);
    timer_start(client->deadline, worker->config->fetch.deadline);
    list_init(&client->link);
    list_append(&follow->clients, &client->link);
    request_set_step(request, &client_steps, client);
    client_advance(client);
}

struct follow_table *follow_table_new(struct worker *worker, follow_here_fn *answer_here)
{
    struct follow_table *table = NEW(struct follow_table);

    table->worker = worker;
    table->answer_here = answer_here;
    table->follows = map_new();
    return table;
}

void follow_table_free(struct follow_table **table)
{
    if (!*table)
        return;
    CHECK(map_count((*table)->follows) == 0);
    map_free(&(*table)->follows);
    mem_free(TAKE(*table));
}
