/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bare names may be pushed to. Mirror clients ask for bare names of two components and more:
 * a push to a name that the default upstream has would be served to all of them from then on.
 *
 * The mark of a push is the time of the last upload POST in the repository's record. It keeps a
 * pusher's HEAD of a tag from being asked upstream.
 */
#ifndef RULES_MAY_PUSH_H
#define RULES_MAY_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "store/ledger.h"

struct config;
struct error;
struct resolved;

/* May a push take the name of this hosted repository? 0, or -ERR_DENIED with the setting to change
 * in *err. */
int may_push(const struct config *config, struct ledger_txn *txn, const struct resolved *target,
             struct error *err);
/* Must the default upstream be asked whether it has a repository of this name, before a push may
 * take it (`hosted.shadow_check`)? Not for what may_push refuses or is accepted in any case. */
bool push_must_ask(const struct config *config, const struct resolved *target);
/* A push to this name is accepted whatever the default upstream has. */
bool push_shadows_nobody(const struct config *config, struct slice name);

/* Did an upload to the repository begin within `storage.grace`? now_ms: wall clock. */
bool push_mark_is_fresh(const struct config *config, const struct repository *repository,
                        uint64_t now_ms);
/* Must an upload POST set the mark? When a quarter of `storage.grace` has passed since the last, so
 * that a mark is good for three quarters of it at least; never for a hosted repository. */
bool push_mark_is_due(const struct config *config, const struct resolved *target, uint64_t now_ms);

#endif
