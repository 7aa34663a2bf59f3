/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists, in order of time: who holds, who waits. The timer runs while somebody waits. */
#include "manifest_room.h"

#include "base/alloc.h"
#include "base/check.h"
#include "net/loop.h"

#define TICK_MS 500
#define WAIT_MS 10000
/* While others wait, who holds may be slow for so long, and then no slower than so many bytes a ms.
 */
#define GRACE_MS  5000
#define RATE_B_MS 128

struct manifest_room {
    struct timer *timer;
    struct list holding;
    struct list waiting;
    size_t total;
    size_t used;
};

static struct manifest_claim *first_of(const struct list *list)
{
    return list_is_empty(list) ? NULL : LIST_ITEM(list->next, struct manifest_claim, link);
}

static void move(struct manifest_claim *claim, struct list *list)
{
    list_remove(&claim->link);
    list_append(list, &claim->link);
    claim->since = clock_mono();
}

static bool has_room(const struct manifest_room *room, size_t bytes)
{
    return room->used == 0 || (room->used <= room->total && bytes <= room->total - room->used);
}

static void hold(struct manifest_claim *claim)
{
    claim->is_held = true;
    claim->room->used += claim->bytes;
    move(claim, &claim->room->holding);
    claim->on_held(claim);
}

/* In the order they came: a small one does not overtake, or the large would wait for ever. */
static void admit(struct manifest_room *room)
{
    struct manifest_claim *claim;
    while ((claim = first_of(&room->waiting)) && has_room(room, claim->bytes))
        hold(claim);
    if (list_is_empty(&room->waiting))
        timer_stop(room->timer);
}

static bool is_older(const struct manifest_claim *claim, uint64_t ms)
{
    return claim && monotime_since(clock_mono(), claim->since) >= ms;
}

static bool is_slow(const struct manifest_claim *claim)
{
    uint64_t ms = monotime_since(clock_mono(), claim->since);
    return ms > GRACE_MS && claim->received < (ms - GRACE_MS) * RATE_B_MS;
}

/* They give their room back when their answer is sent. */
static void tell_slow(struct manifest_room *room)
{
    LIST_EACH (link, &room->holding) {
        struct manifest_claim *claim = LIST_ITEM(link, struct manifest_claim, link);
        if (!claim->is_told && is_slow(claim)) {
            claim->is_told = true;
            claim->on_late(claim);
        }
    }
}

static void on_timer(void *arg)
{
    struct manifest_room *room = arg;
    struct manifest_claim *claim;
    timer_start(room->timer, TICK_MS);
    while (is_older(claim = first_of(&room->waiting), WAIT_MS)) {
        list_remove(&claim->link);
        claim->room = NULL;
        claim->on_late(claim);
    }
    if (!list_is_empty(&room->waiting))
        tell_slow(room);
    admit(room);
}

struct manifest_room *manifest_room_new(struct loop *loop, size_t total)
{
    struct manifest_room *room = NEW(struct manifest_room);
    room->total = total;
    room->timer = timer_new(loop, on_timer, room);
    list_init(&room->holding);
    list_init(&room->waiting);
    return room;
}

void manifest_room_set_total(struct manifest_room *room, size_t total)
{
    room->total = total;
    admit(room);
}

void manifest_room_free(struct manifest_room **room)
{
    if (!*room)
        return;
    CHECK(list_is_empty(&(*room)->holding) && list_is_empty(&(*room)->waiting));
    timer_free(&(*room)->timer);
    mem_free(TAKE(*room));
}

void manifest_room_claim(struct manifest_room *room, struct manifest_claim *claim, size_t bytes)
{
    CHECK(!claim->room);
    claim->room = room;
    claim->bytes = bytes <= MANIFEST_ROOM_FREE ? 0 : bytes;
    claim->is_held = false;
    claim->is_told = false;
    list_init(&claim->link);
    if (claim->bytes == 0) {
        claim->is_held = true; /* in no list: nobody is waited for */
        claim->on_held(claim);
        return;
    }
    if (list_is_empty(&room->waiting) && has_room(room, bytes)) {
        hold(claim);
        return;
    }
    move(claim, &room->waiting);
    if (!timer_is_running(room->timer))
        timer_start(room->timer, TICK_MS);
}

void manifest_room_release(struct manifest_claim *claim)
{
    struct manifest_room *room = claim->room;
    if (!room)
        return;
    claim->room = NULL;
    list_remove(&claim->link);
    if (claim->is_held)
        room->used -= claim->bytes;
    admit(room);
}
