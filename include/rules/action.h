/* SPDX-License-Identifier: Apache-2.0 */
/* What a request does with a repository. Rights are given for these. */
#ifndef RULES_ACTION_H
#define RULES_ACTION_H

#include <stdbool.h>

enum action {
    ACTION_PULL,   /* read its manifests and blobs, also by HEAD; mount its blobs elsewhere */
    ACTION_LIST,   /* read its lists of tags and referrers; see it in the catalog */
    ACTION_PUSH,   /* upload sessions, from POST to the last PUT; PUT of manifests; mount into it */
    ACTION_DELETE, /* remove its tags, manifests and blobs */
};

/* It changes the repository. */
static inline bool action_is_write(enum action action)
{
    return action == ACTION_PUSH || action == ACTION_DELETE;
}

#endif
