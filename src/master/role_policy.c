/* SPDX-License-Identifier: Apache-2.0 */
/* The table of role_policy.h. */
#include "role_policy.h"

#include "base/check.h"

#define LISTENERS_OF_CLIENTS (1u << LISTENER_FULL | 1u << LISTENER_MIRROR | 1u << LISTENER_ADMIN)

static const struct role_policy policies[ROLES] = {
    [ROLE_WORKER] =
        {
            .has_workers = true,
            .listeners = LISTENERS_OF_CLIENTS,
            .peers = 1u << ROLE_FETCHER | 1u << ROLE_KEEPER,
            .may_overlap = true,
            .drain_order = 1, /* fetcher and keeper help them to finish */
            .may_ask = {[CONTROL_RELOAD] = true},
        },
    [ROLE_FETCHER] =
        {
            .has_secrets = true,
            .peers = 1u << ROLE_KEEPER,
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
    [ROLE_STEWARD] =
        {
            .is_on_demand = true,
            .listeners = 1u << LISTENER_CONTROL,
            .peers = 1u << ROLE_KEEPER,
            .drain_order = 1,
            .may_ask = {[CONTROL_RELOAD] = true},
        },
};

const struct role_policy *role_policy(enum process_role role)
{
    CHECK(role < ROLES && policies[role].drain_order > 0);
    return &policies[role];
}
