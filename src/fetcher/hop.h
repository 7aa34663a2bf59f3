/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hop is one request to one address of an upstream: a transfer, repeated with the token that it
 * needs and along redirects.
 *
 * What the answer says about the address itself (its breaker, how long it is busy after a 429, how
 * many pulls are left) is noted in the upstream; the caller decides what to do after a refusal.
 */
#ifndef FETCHER_HOP_H
#define FETCHER_HOP_H

#include <stddef.h>

#include "base/clock.h"
#include "exchange_types.h"

struct hop;

struct hop_options {
    const struct exchange_request *request; /* borrowed until on_done; first_url is ignored */
    size_t url;                             /* index of the address */
    struct monotime ends_at; /* for all but downloads: includes tokens and redirects */
    const struct exchange_handler *handler; /* borrowed */
    void *arg;
};

/* A failure to start is told by on_done too, which comes later from the loop. */
struct hop *hop_start(const struct hop_options *options);
void hop_resume(struct hop *hop);
/* No callback comes after it. */
void hop_cancel(struct hop **hop);

#endif
