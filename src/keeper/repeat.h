/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders that are sent again because a keeper died before it answered. If the journal shows a
 * change of the same thing after the number that the sender had seen, the order was done, or
 * another order has overtaken it. Applying it now would undo what the other's sender was told.
 */
#ifndef KEEPER_REPEAT_H
#define KEEPER_REPEAT_H

#include <stdbool.h>

#include "apply.h"

/* Whether a change of one of these kinds (bits 1 << JOURNAL_...) to this repository's tag, or
 * digest, was committed since the order was first sent: then nothing is left to do, and it is
 * answered as done. False for an order that is no repeat. An empty tag and a NULL digest match any.
 * If the journal no longer reaches back so far, the order is refused, and the answer is true as
 * well. */
bool repeat_is_overtaken(const struct apply *apply, struct order *order, unsigned kinds,
                         const struct change *change);
#define REPEAT_KIND(kind) (1u << (unsigned)(kind))

#endif
