/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists in the order of time: claims that are held and claims that wait. The timer runs while
 * any claim waits. */
#include "manifest_budget.h"

#include "base/alloc.h"
#include "base/check.h"
#include "net/loop.h"

#define TICK_MS 500
#define WAIT_MS 10000
/* While others wait, a body may come at any rate for so long, and after that must have come at so
 * many bytes a millisecond. */
#define GRACE_MS  5000
#define RATE_B_MS 128

struct manifest_budget {
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

static bool has_room(const struct manifest_budget *budget, size_t bytes)
{
    return budget->used == 0 ||
           (budget->used <= budget->total && bytes <= budget->total - budget->used);
}

static void hold(struct manifest_claim *claim)
{
    claim->is_held = true;
    claim->budget->used += claim->bytes;
    move(claim, &claim->budget->holding);
    claim->on_held(claim);
}

/* Claims are granted in the order they came: if small claims overtook large ones, the large would
 * wait for ever. */
static void admit(struct manifest_budget *budget)
{
    struct manifest_claim *claim;

    while ((claim = first_of(&budget->waiting)) && has_room(budget, claim->bytes))
        hold(claim);
    if (list_is_empty(&budget->waiting))
        timer_stop(budget->timer);
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

/* The owner releases the budget when its answer is sent. */
static void warn_slow(struct manifest_budget *budget)
{
    LIST_EACH (link, &budget->holding) {
        struct manifest_claim *claim = LIST_ITEM(link, struct manifest_claim, link);

        if (!claim->is_warned && is_slow(claim)) {
            claim->is_warned = true;
            claim->on_late(claim);
        }
    }
}

static void on_timer(void *arg)
{
    struct manifest_budget *budget = arg;
    struct manifest_claim *claim;

    timer_start(budget->timer, TICK_MS);
    while (is_older(claim = first_of(&budget->waiting), WAIT_MS)) {
        list_remove(&claim->link);
        claim->budget = NULL;
        claim->on_late(claim);
    }
    if (!list_is_empty(&budget->waiting))
        warn_slow(budget);
    admit(budget);
}

struct manifest_budget *manifest_budget_new(struct loop *loop, size_t total)
{
    struct manifest_budget *budget = NEW(struct manifest_budget);

    budget->total = total;
    budget->timer = timer_new(loop, on_timer, budget);
    list_init(&budget->holding);
    list_init(&budget->waiting);
    return budget;
}

void manifest_budget_set_total(struct manifest_budget *budget, size_t total)
{
    budget->total = total;
    admit(budget);
}

void manifest_budget_free(struct manifest_budget **budget)
{
    if (!*budget)
        return;
    CHECK(list_is_empty(&(*budget)->holding) && list_is_empty(&(*budget)->waiting));
    timer_free(&(*budget)->timer);
    mem_free(TAKE(*budget));
}

void manifest_budget_claim(struct manifest_budget *budget, struct manifest_claim *claim,
                           size_t bytes)
{
    CHECK(!claim->budget);
    claim->budget = budget;
    claim->bytes = bytes <= MANIFEST_BUDGET_FREE ? 0 : bytes;
    claim->is_held = false;
    claim->is_warned = false;
    list_init(&claim->link);
    if (claim->bytes == 0) {
        claim->is_held = true; /* in no list: it takes nothing from anybody */
        claim->on_held(claim);
        return;
    }
    if (list_is_empty(&budget->waiting) && has_room(budget, bytes)) {
        hold(claim);
        return;
    }
    move(claim, &budget->waiting);
    if (!timer_is_running(budget->timer))
        timer_start(budget->timer, TICK_MS);
}

void manifest_budget_release(struct manifest_claim *claim)
{
    struct manifest_budget *budget = claim->budget;

    if (!budget)
        return;
    claim->budget = NULL;
    list_remove(&claim->link);
    if (claim->is_held)
        budget->used -= claim->bytes;
    admit(budget);
}
