/* SPDX-License-Identifier: Apache-2.0 */
/* Which bare names may be pushed to, and what was pushed already. */
#ifndef KEEPER_PUSHING_H
#define KEEPER_PUSHING_H

#include <stdbool.h>

#include "apply.h"

/* May a first push take this bare name? If not, the order is refused with the setting to change.
 */
bool pushing_is_allowed(const struct apply *apply, struct order *order, struct slice name);

/* ERR_CONFLICT: an upstream is named like the first component of hosted repositories, which nobody
 * could pull any more. */
int pushing_check_upstreams(const struct config *config, struct ledger *ledger, struct error *err);

#endif
