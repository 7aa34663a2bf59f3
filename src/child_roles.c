/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of child_roles.h: each role's functions in the shape of the table. */
#include "child_roles.h"

#include <stddef.h>

#include "config/config.h"
#include "fetcher/fetcher.h"
#include "keeper/keeper.h"
#include "worker/worker.h"

/* ---- worker ---- */

static void *make_front(const struct role_parts *parts, bool is_steward)
{
    return worker_new(&(struct worker_options){
        .version = ENTREPOT_VERSION,
        .is_steward = is_steward,
        .loop = parts->loop,
        .pool = parts->pool,
        .config = parts->config,
        .store = parts->store,
        .ledger = parts->ledger,
        .uploads = parts->uploads,
        .slot = parts->slot,
        .workers = parts->config->workers,
        .on_drained = parts->on_drained,
        .arg = parts->arg,
    });
}

static void *make_worker(const struct role_parts *parts)
{
    return make_front(parts, false);
}

static void *make_steward(const struct role_parts *parts)
{
    return make_front(parts, true);
}

static void set_worker_config(void *object, struct config *config)
{
    worker_set_config(object, config);
}

static void give_worker_listener(void *object, int *fd, enum listener_kind kind,
                                 const char *address, bool is_proxied)
{
    worker_listen(object, fd, kind, address, is_proxied);
}

static void set_worker_peer(void *object, const struct message_peer *peer, int *fd)
{
    worker_set_peer(object, (enum process_role)peer->role, fd);
}

static void drain_worker(void *object, const struct message_drain *how)
{
    worker_drain(object, how);
}

static void orphan_worker(void *object)
{
    worker_orphan(object);
}

static void free_worker(void *object)
{
    struct worker *worker = object;

    worker_free(&worker);
}

/* ---- fetcher ---- */

static void *make_fetcher(const struct role_parts *parts)
{
    return fetcher_new(&(struct fetcher_options){
        .loop = parts->loop,
        .pool = parts->pool,
        .config = parts->config,
        .store = parts->store,
        .ledger = parts->ledger,
        .on_drained = parts->on_drained,
        .ask_master = parts->ask_master,
        .arg = parts->arg,
    });
}

static void set_fetcher_config(void *object, struct config *config)
{
    fetcher_set_config(object, config);
}

static void set_fetcher_peer(void *object, const struct message_peer *peer, int *fd)
{
    if (peer->role == ROLE_WORKER)
        fetcher_add_worker(object, (unsigned)peer->slot, peer->id, fd);
    else if (peer->role == ROLE_KEEPER)
        fetcher_set_keeper(object, fd);
}

static void drain_fetcher(void *object, const struct message_drain *how)
{
    fetcher_drain(object, how->within_ms);
}

static void free_fetcher(void *object)
{
    struct fetcher *fetcher = object;

    fetcher_free(&fetcher);
}

/* ---- keeper ---- */

static struct keeper_options keeper_options_of(const struct role_parts *parts)
{
    return (struct keeper_options){
        .loop = parts->loop,
        .pool = parts->pool,
        .config = parts->config,
        .store = parts->store,
        .ledger = parts->ledger,
        .uploads = parts->uploads,
        .on_drained = parts->on_drained,
        .ask_master = parts->ask_master,
        .arg = parts->arg,
    };
}

static int check_keeper(const struct role_parts *parts, struct error *err)
{
    struct keeper_options options = keeper_options_of(parts);

    return keeper_check(&options, err);
}

static void *make_keeper(const struct role_parts *parts)
{
    struct keeper_options options = keeper_options_of(parts);

    return keeper_new(&options);
}

static void set_keeper_config(void *object, struct config *config)
{
    keeper_set_config(object, config);
}

static void set_keeper_peer(void *object, const struct message_peer *peer, int *fd)
{
    if (peer->role != ROLE_KEEPER)
        keeper_set_peer(object, (enum process_role)peer->role, (unsigned)peer->slot, peer->id, fd);
}

static void drain_keeper(void *object, const struct message_drain *how)
{
    keeper_drain(object, how->within_ms);
}

static void free_keeper(void *object)
{
    struct keeper *keeper = object;

    keeper_free(&keeper);
}

/* ---- the table ---- */

static const struct role_ops rows[ROLES] = {
    [ROLE_WORKER] =
        {
            .make = make_worker,
            .set_config = set_worker_config,
            .listen = give_worker_listener,
            .set_peer = set_worker_peer,
            .drain = drain_worker,
            .orphan = orphan_worker, /* the requests that it has still end well */
            .free = free_worker,
        },
    [ROLE_FETCHER] =
        {
            .make = make_fetcher,
            .set_config = set_fetcher_config,
            .set_peer = set_fetcher_peer,
            .drain = drain_fetcher,
            .free = free_fetcher,
        },
    [ROLE_KEEPER] =
        {
            .writes_ledger = true,
            .check = check_keeper,
            .make = make_keeper,
            .set_config = set_keeper_config,
            .set_peer = set_keeper_peer,
            .drain = drain_keeper,
            .free = free_keeper,
        },
    [ROLE_STEWARD] =
        {
            .make = make_steward,
            .set_config = set_worker_config,
            .listen = give_worker_listener,
            .set_peer = set_worker_peer,
            .drain = drain_worker,
            .orphan = orphan_worker,
            .free = free_worker,
        },
};

const struct role_ops *role_ops(enum process_role role)
{
    return role < ROLES && rows[role].make ? &rows[role] : NULL;
}
