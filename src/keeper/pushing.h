/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for pushed names that need the ledger: first pushes, and upstreams that would hide images.
 */
#ifndef KEEPER_PUSHING_H
#define KEEPER_PUSHING_H

#include <stdbool.h>

#include "apply.h"

/* Whether a push may take this bare name. If not, the order is refused, and the text names the
 * setting to change. */
bool pushing_is_allowed(const struct apply *apply, struct order *order, struct slice name);

/* ERR_CONFLICT: an upstream has the name of the first component of hosted repositories, which could
 * not be pulled any more. If the ledger cannot be read, its error. */
int pushing_check_upstreams(const struct config *config, struct ledger *ledger, struct error *err);

#endif
