/* SPDX-License-Identifier: Apache-2.0 */
/* What the master must know about each role: one row a role. A new role needs a row here, a row in
 * child_roles.c, and a name in ipc/message. */
#ifndef ROLE_POLICY_H
#define ROLE_POLICY_H

#include <stdbool.h>

#include "ipc/message.h"

struct role_policy {
    bool is_first;        /* starts before the others, which wait until it is ready */
    bool has_workers;     /* as many processes as `workers` says; else one */
    bool has_secrets;     /* its configuration has the credentials of upstreams */
    unsigned listeners;   /* bits by enum listener_kind: the listening sockets that it gets */
    unsigned peers;       /* bits by enum process_role: whom it asks, so has a channel to */
    bool is_on_demand;    /* its seat is filled when somebody connects to its socket */
    bool may_overlap;     /* a successor may start while the process before it still ends */
    bool judges_config;   /* a new configuration is given to it first, and it may refuse */
    unsigned drain_order; /* 1 is drained first; the others wait until it has ended */
    bool may_ask[CONTROLS];
};

/* Not for ROLE_MASTER. */
const struct role_policy *role_policy(enum process_role role);

#endif
