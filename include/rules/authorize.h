/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rights: may this principal do this with that repository? Asked for every repository whose bytes,
 * names or digests go into an answer, not for the target of the request alone: the `from` of a
 * mount, the cached namesake of a hosted name, each entry of the catalog.
 *
 * The answer is a permit. What reads a repository (rules/visible.h) or asks others for its bytes
 * takes a permit, so that nothing can be answered from a repository that nobody asked about.
 */
#ifndef RULES_AUTHORIZE_H
#define RULES_AUTHORIZE_H

#include <stdbool.h>

#include "rules/action.h"

struct api_error;
struct principal;
struct resolved;

/* 0, or -1 with *error: 401, 403 or 404, as the authorizer chooses. It must not block, and threads
 * of the pool call it too. */
typedef int authorize_fn(const struct principal *principal, const struct resolved *target,
                         enum action action, struct api_error *error, void *arg);

/* Decides; borrowed by the permits. */
struct authorizer {
    authorize_fn *authorize; /* NULL: everything is allowed */
    void *arg;
};

/* Made by authorize() alone, which fills it; the members are for src/rules. It borrows all that it
 * points to: valid while the request and its resolved repository are. */
struct permit {
    const struct authorizer *authorizer;
    const struct principal *principal;
    const struct resolved *target;
    bool is_own_only; /* what other repositories brought is not used, even if it is public */
};

/* 0 with *out, or -1 with *error and *out untouched. */
int authorize(const struct authorizer *authorizer, const struct principal *principal,
              const struct resolved *target, enum action action, struct permit *out,
              struct api_error *error);
/* The same principal, and another repository than the permit is for. */
int authorize_other(const struct permit *permit, const struct resolved *other, enum action action,
                    struct permit *out, struct api_error *error);
/* For the fetcher: a worker asked for the target, and has authorized it. The fetcher does not know
 * for whom, so that the worker says whether public content of other repositories may be used. */
void permit_for_worker(const struct resolved *target, bool is_own_only, struct permit *out);
/* What the worker says then: with rights, no public content of unknown repositories. */
bool permit_is_own_only(const struct permit *permit);

static inline bool authorizer_allows_all(const struct authorizer *authorizer)
{
    return !authorizer->authorize;
}

#endif
