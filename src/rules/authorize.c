/* SPDX-License-Identifier: Apache-2.0 */
/* See rules/authorize.h. Without an authorizer nothing is asked. */
#include "rules/authorize.h"

int authorize(const struct authorizer *authorizer, const struct principal *principal,
              const struct resolved *target, enum action action, struct permit *out,
              struct api_error *error)
{
    if (!authorizer_allows_all(authorizer) &&
        authorizer->authorize(principal, target, action, error, authorizer->arg) != 0)
        return -1;
    *out = (struct permit){.authorizer = authorizer, .principal = principal, .target = target};
    return 0;
}

int authorize_other(const struct permit *permit, const struct resolved *other, enum action action,
                    struct permit *out, struct api_error *error)
{
    return authorize(permit->authorizer, permit->principal, other, action, out, error);
}

void permit_for_worker(const struct resolved *target, bool is_own_only, struct permit *out)
{
    static const struct authorizer allow_all;

    *out = (struct permit){
        .authorizer = &allow_all,
        .target = target,
        .is_own_only = is_own_only,
    };
}

bool permit_is_own_only(const struct permit *permit)
{
    return permit->is_own_only || !authorizer_allows_all(permit->authorizer);
}
