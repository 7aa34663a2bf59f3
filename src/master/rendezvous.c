/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels connect incarnations: each new process gets a new one to every living process that it
 * asks or that asks it, and they get its other end, which takes the place of what they had.
 *
 * Two processes that could get no channel (no descriptor is left) have an appointment: the channel
 * is tried again at each tick until it is made or one of them is dead.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "master_state.h"

struct appointment {
    struct list link; /* of the master's */
    uint64_t a, b;    /* ids */
};

static void introduce(struct child *to, const struct child *peer, int fd)
{
    struct message_peer message = {
        .role = (uint64_t)peer->seat->role, .slot = peer->seat->slot, .id = peer->id};

    channel_send(to->line, MESSAGE_PEER, &message, fd);
}

static int make_channel(struct child *a, struct child *b, struct error *err)
{
    int pair[2] = {-1, -1};
    int rc = channel_pair(pair, err);

    if (rc != 0)
        return rc;
    introduce(a, b, pair[0]);
    introduce(b, a, pair[1]);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    return 0;
}

static void log_no_channel(const struct child *a, const struct child *b, const struct error *err)
{
    struct log_line line;
    char name[64];

    log_begin(&line, LOG_ERROR);
    child_print(a, name);
    log_text(&line, "between", name);
    child_print(b, name);
    log_text(&line, "and", name);
    log_text(&line, "error", err->text);
    log_end(&line, "no channel could be made, trying again");
}

static bool may_talk(enum process_role a, enum process_role b)
{
    return (role_policy(a)->peers & 1u << b) != 0 || (role_policy(b)->peers & 1u << a) != 0;
}

void rendezvous(struct master *master, struct child *newcomer)
{
    LIST_EACH (link, &master->children) {
        struct child *other = LIST_ITEM(link, struct child, link);
        struct error err;

        if (!may_talk(other->seat->role, newcomer->seat->role) || !other->line ||
            other->state == CHILD_ENDING || make_channel(newcomer, other, &err) == 0)
            continue;
        log_no_channel(newcomer, other, &err);
        struct appointment *appointment = NEW(struct appointment);
        appointment->a = newcomer->id;
        appointment->b = other->id;
        list_append(&master->appointments, &appointment->link);
    }
}

static void appointment_free(struct appointment *appointment)
{
    list_remove(&appointment->link);
    mem_free(appointment);
}

void rendezvous_tick(struct master *master)
{
    LIST_EACH (link, &master->appointments) {
        struct appointment *appointment = LIST_ITEM(link, struct appointment, link);
        struct child *a = child_find(&master->children, appointment->a);
        struct child *b = child_find(&master->children, appointment->b);
        struct error ignored;

        if (!a || !b || !a->line || !b->line || make_channel(a, b, &ignored) == 0)
            appointment_free(appointment);
    }
}

void rendezvous_forget_all(struct master *master)
{
    LIST_EACH (link, &master->appointments)
        appointment_free(LIST_ITEM(link, struct appointment, link));
}
