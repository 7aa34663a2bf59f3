/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the bodies of manifests that are being pushed. All clients together get a fixed number
 * of bytes. A push that finds none waits in line for at most ten seconds, and then fails.
 *
 *   claim → held ──────────────→ released
 *      └──→ waiting → held …
 *              └────→ too late
 *
 * While others wait, a push that holds memory must send fast enough (GRACE_MS, RATE_B_MS), or it is
 * told that it is late.
 */
#ifndef WORKER_MANIFEST_BUDGET_H
#define WORKER_MANIFEST_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/list.h"

struct loop;
struct manifest_budget;

/* A body of up to this size is not counted: a connection may take as much anyway. */
#define MANIFEST_BUDGET_FREE ((size_t)64 * 1024)

/* Embedded in its owner. Zeroed: no claim. */
struct manifest_claim {
    struct list link;
    struct manifest_budget *budget; /* NULL: no claim */
    size_t bytes;
    size_t received; /* set by the owner, as the body comes */
    bool is_held;
    bool is_warned; /* on_late has come although the claim is held */
    struct monotime since;
    void (*on_held)(struct manifest_claim *claim);
    /* The claim has waited for too long, and is over; or it is held, the owner is too slow while
     * others wait, and it should answer and release. */
    void (*on_late)(struct manifest_claim *claim);
};

/* `total`: bytes for all claims together. One claim is always granted, however large. */
struct manifest_budget *manifest_budget_new(struct loop *loop, size_t total);
/* Claims that are held stay held when the budget becomes smaller. */
void manifest_budget_set_total(struct manifest_budget *budget, size_t total);
/* All claims were released before. */
void manifest_budget_free(struct manifest_budget **budget);
/* on_held is called from inside, or later. */
void manifest_budget_claim(struct manifest_budget *budget, struct manifest_claim *claim,
                           size_t bytes);
/* Does nothing without a claim. */
void manifest_budget_release(struct manifest_claim *claim);

#endif
