/* SPDX-License-Identifier: Apache-2.0 */
/* See rules/authorize.h. Without an authorizer nothing is asked. */
#include "rules/authorize.h"

int authorize(const struct authorizer *authorizer, const struct principal *principal,
              const struct resolved *target, enum action action, struct permit *out,
              struct api_error *error)
{
    if (authorizer->authorize &&
        authorizer->authorize(principal, target, action, error, authorizer->arg) != 0)
        return -1;
    *out = (struct permit){.authorizer = authorizer, .principal = principal, .target = target};
    return 0;
}
