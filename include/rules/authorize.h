/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rights: may this principal do this with that repository? This is asked for every repository whose
 * bytes, names or digests go into an answer: the target of the request, the `from` of a mount, the
 * cached namesake of a hosted name, each entry of the catalog, and with public content a repository
 * that links it (docs/decisions/0025).
 *
 * The answer is a permit. The functions that read a repository (rules/visible.h) take one, so that
 * nothing can be answered from a repository that was not asked about.
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

/* Who decides. Permits borrow it. */
struct authorizer {
    authorize_fn *authorize; /* NULL: everything is allowed */
    void *arg;
};

/* Only authorize() fills one; the members are for src/rules. It borrows all that it points to, and
 * is valid as long as the request and its resolved repository. */
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
/* The same for the principal of a permit, and another repository. */
int authorize_other(const struct permit *permit, const struct resolved *other, enum action action,
                    struct permit *out, struct api_error *error);
/* For the fetcher: a worker asked for the target, and has authorized it. The fetcher does not know
 * the principal, so the worker says whether public content of other repositories may be used. */
void permit_for_worker(const struct resolved *target, bool is_own_only, struct permit *out);
/* What the worker says then: with rights, public content of other repositories may not be used. */
bool permit_is_own_only(const struct permit *permit);

static inline bool authorizer_allows_all(const struct authorizer *authorizer)
{
    return !authorizer->authorize;
}

#endif
