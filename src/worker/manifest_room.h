/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for bodies of manifests: what is held at the same time has a limit, whatever the number
 * of clients; who comes too late waits for a while, in order, and is told so then.
 *
 *   claim → held ──────────────→ released
 *      └──→ waiting → held …
 *              └────→ denied
 */
#ifndef WORKER_MANIFEST_ROOM_H
#define WORKER_MANIFEST_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/list.h"

struct loop;
struct manifest_room;

/* Up to this nobody waits: it is less than what a connection may take anyway. */
#define MANIFEST_ROOM_FREE ((size_t)64 * 1024)

/* Belongs to who claims. Zeroed: no claim. */
struct manifest_claim {
    struct list link;
    struct manifest_room *room; /* NULL: no claim */
    size_t bytes;
    size_t received; /* the owner tells how much has come */
    bool is_held;
    bool is_told; /* that it is too slow */
    struct monotime since;
    void (*on_held)(struct manifest_claim *claim);
    /* Waiting for too long (the claim is over), or too slow while others wait (it is not). */
    void (*on_late)(struct manifest_claim *claim);
};

/* `total` bytes for all together. */
struct manifest_room *manifest_room_new(struct loop *loop, size_t total);
/* What is held stays held when it becomes smaller. */
void manifest_room_set_total(struct manifest_room *room, size_t total);
/* All claims were released before. */
void manifest_room_free(struct manifest_room **room);
/* on_held comes now, from inside, or later. */
void manifest_room_claim(struct manifest_room *room, struct manifest_claim *claim, size_t bytes);
/* Safe without a claim. */
void manifest_room_release(struct manifest_claim *claim);

#endif
