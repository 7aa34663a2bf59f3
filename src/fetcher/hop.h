/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to one address of an upstream: a transfer, with the token that it needs and the
 * redirects on its way.
 *
 * What the answer says about the address itself (its breaker, how long it is busy after a 429, how
 * many pulls are left) is noted in the upstream; what to do after a refusal is the caller's affair.
 */
#ifndef HOP_H
#define HOP_H

#include <stddef.h>

#include "base/clock.h"
#include "exchange_types.h"

struct hop;

struct hop_options {
    const struct exchange_request *request; /* borrowed until the end; first_url is not used */
    size_t url;                             /* index of the address */
    struct monotime ends_at;                /* of questions, with all tokens and redirects */
    const struct exchange_handler *handler; /* borrowed */
    void *arg;
};

/* Fails through on_done only. */
struct hop *hop_start(const struct hop_options *options);
void hop_resume(struct hop *hop);
/* No callback comes after it. */
void hop_cancel(struct hop **hop);

#endif
