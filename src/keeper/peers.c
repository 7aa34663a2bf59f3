/* SPDX-License-Identifier: Apache-2.0 */
/* Lines to workers and the fetcher, in the order of their incarnations. */
#include "peers.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "net/loop.h"

struct peer {
    struct list lines; /* open or waiting, in the order of their incarnations */
};

struct peers {
    struct loop *loop;
    peers_message_fn *on_message;
    peers_lied_fn *on_lied;
    void *arg;
    struct peer table[ROLES][WORKERS_MAX];
};

struct peer_line {
    struct list link;    /* in its peer's list; in none when closed */
    struct peers *peers; /* NULL when closed */
    struct peer *peer;
    enum process_role role;
    uint64_t id;             /* of the process */
    int fd;                  /* while waiting */
    struct channel *channel; /* while open */
    bool is_watching;
    size_t orders;
};

/* ---- lines ---- */

static void peer_line_free(struct peer_line *line)
{
    mem_free(line);
}

static void peer_line_close(struct peer_line *line)
{
    list_remove(&line->link);
    line->peers = NULL;
    channel_free(&line->channel);
    fd_close(&line->fd);
    if (line->orders == 0)
        peer_line_free(line);
}

void peer_line_ref(struct peer_line *line)
{
    line->orders++;
}

void peer_line_unref(struct peer_line *line)
{
    CHECK(line->orders > 0);
    line->orders--;
    if (line->orders == 0 && !line->peers)
        peer_line_free(line);
}

size_t peer_line_orders(const struct peer_line *line)
{
    return line->orders;
}

enum process_role peer_line_role(const struct peer_line *line)
{
    return line->role;
}

void peer_line_send(struct peer_line *line, enum message_type type, const void *message)
{
    if (line->channel)
        channel_send(line->channel, type, message, -1);
}

void peer_line_watch(struct peer_line *line)
{
    line->is_watching = true;
}

/* ---- succession ---- */

static void peer_line_open(struct peer_line *line);

static bool is_dead(const struct peer_line *line)
{
    return line->channel ? channel_is_closed(line->channel) : channel_end_is_closed(line->fd);
}

/* What a dead worker sent comes before what its clients ask its successor. */
static bool may_open(const struct peer_line *line)
{
    for (struct list *link = line->link.previous; link != &line->peer->lines;
         link = link->previous) {
        if (line->role == ROLE_FETCHER || is_dead(LIST_ITEM(link, struct peer_line, link)))
            return false;
    }
    return true;
}

static void open_lines(struct peer *peer)
{
    LIST_EACH (link, &peer->lines) {
        struct peer_line *line = LIST_ITEM(link, struct peer_line, link);

        if (!line->channel && may_open(line))
            peer_line_open(line);
    }
}

static void on_channel_message(struct channel *channel, enum message_type type, struct slice body,
                               int *fd, void *arg)
{
    struct peer_line *line = arg;

    (void)channel;
    fd_close(fd); /* no order carries a descriptor */
    line->peers->on_message(line, type, body, line->peers->arg);
}

static void on_channel_closed(struct channel *channel, void *arg)
{
    struct peer_line *line = arg;
    struct peer *peer = line->peer;

    (void)channel;
    peer_line_close(line);
    open_lines(peer);
}

static void on_channel_lied(struct channel *channel, void *arg)
{
    struct peer_line *line = arg;

    line->peers->on_lied(line, line->peers->arg);
    on_channel_closed(channel, arg);
}

static void peer_line_open(struct peer_line *line)
{
    static const struct channel_handler handler = {.on_message = on_channel_message,
                                                   .on_closed = on_channel_closed,
                                                   .on_failed = channel_end_process,
                                                   .on_lied = on_channel_lied};

    line->channel = channel_new(line->peers->loop, &line->fd,
                                (struct channel_ends){ROLE_KEEPER, line->role}, &handler, line);
}

uint64_t peer_line_id(const struct peer_line *line)
{
    return line->id;
}

void peers_add(struct peers *peers, enum process_role role, unsigned slot, uint64_t id, int *fd)
{
    if ((unsigned)role >= ROLES || slot >= WORKERS_MAX) {
        log_say(LOG_ERROR, "a channel to role %u, slot %u: there is no such process",
                (unsigned)role, slot);
        fd_close(fd);
        return;
    }
    struct peer_line *line = NEW(struct peer_line);
    line->peers = peers;
    line->peer = &peers->table[role][slot];
    line->role = role;
    line->id = id;
    line->fd = fd_take(fd);
    list_append(&line->peer->lines, &line->link);
    open_lines(line->peer);
}

/* ---- all lines ---- */

struct peers *peers_new(struct loop *loop, peers_message_fn *on_message, peers_lied_fn *on_lied,
                        void *arg)
{
    struct peers *peers = NEW(struct peers);

    peers->loop = loop;
    peers->on_message = on_message;
    peers->on_lied = on_lied;
    peers->arg = arg;
    for (unsigned role = 0; role < ROLES; role++) {
        for (unsigned slot = 0; slot < WORKERS_MAX; slot++)
            list_init(&peers->table[role][slot].lines);
    }
    return peers;
}

void peers_free(struct peers **peers)
{
    if (!*peers)
        return;
    for (unsigned role = 0; role < ROLES; role++) {
        for (unsigned slot = 0; slot < WORKERS_MAX; slot++) {
            LIST_EACH (link, &(*peers)->table[role][slot].lines)
                peer_line_close(LIST_ITEM(link, struct peer_line, link));
        }
    }
    mem_free(*peers);
    *peers = NULL;
}

void peers_announce(struct peers *peers, uint64_t number)
{
    struct message_changed changed = {.number = number};

    for (unsigned role = 0; role < ROLES; role++) {
        for (unsigned slot = 0; slot < WORKERS_MAX; slot++) {
            LIST_EACH (link, &peers->table[role][slot].lines) {
                struct peer_line *line = LIST_ITEM(link, struct peer_line, link);

                if (line->is_watching)
                    peer_line_send(line, MESSAGE_CHANGED, &changed);
            }
        }
    }
}

void peers_flush(struct peers *peers, unsigned wait_ms)
{
    for (unsigned role = 0; role < ROLES; role++) {
        for (unsigned slot = 0; slot < WORKERS_MAX; slot++) {
            LIST_EACH (link, &peers->table[role][slot].lines) {
                struct peer_line *line = LIST_ITEM(link, struct peer_line, link);

                if (line->channel)
                    channel_flush(line->channel, wait_ms);
            }
        }
    }
}
