/* SPDX-License-Identifier: Apache-2.0 */
/* The table of role_policy.h. */
#include "role_policy.h"

#include "base/check.h"

static const struct role_policy policies[ROLES] = {
    [ROLE_WORKER] =
        {
            .has_workers = true,
            .has_listeners = true,
            .may_overlap = true,
            .drain_order = 1, /* fetcher and keeper help them to finish */
            .may_ask = {[CONTROL_RELOAD] = true},
        },
    [ROLE_FETCHER] =
        {
            .has_secrets = true,
            .drain_order = 2, /* it tells the keeper what it has */
            .may_ask = {[CONTROL_PEER_LIED] = true, [CONTROL_READ_FILES] = true},
        },
    [ROLE_KEEPER] =
        {
            .is_first = true, /* it makes the ledger */
            .judges_config = true,
            .drain_order = 3,
            .may_ask = {[CONTROL_PEER_LIED] = true},
        },
};

const struct role_policy *role_policy(enum process_role role)
{
    CHECK(role < ROLES && policies[role].drain_order > 0);
    return &policies[role];
}
